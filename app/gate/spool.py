"""The spool: what was decided, in a file before the answer leaves, and there until it is in the store.

Each worker process writes to a *segment* of its own, a sequence of JSON texts (RFC 7464): a text stands
between a record separator and a line feed, so that one whose writing broke off is told from the next. What
was written survives the end of the process, however it ends; a power failure may take what the system had
not yet written to the disk. A segment is complete when no process holds its lock.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from app.store.unit_of_work import new_id

SEGMENT_BYTES: Final = 8 * 1024 * 1024
"""A segment that has grown to this many bytes is succeeded by a new one."""

SEGMENT_SECONDS: Final = 60.0
"""So is one of this age."""

_SEPARATOR: Final = b"\x1e"
_SUFFIX: Final = ".jsonseq"
_FOLDING: Final = "folding.lock"
_NODE: Final = "node"


class SpoolUnwritable(Exception):
    """A text could not be appended; the message says why."""


class _Segment:
    """An open segment: a file with room that is really there, mapped, so that to write takes no system call.

    What is in the mapping is in the file, also when the process is killed. After what is written there are
    zeros, which no JSON text has. Its file is closed when nobody refers to it any more.
    """

    __slots__ = ("_mapped", "descriptor", "opened_at", "path", "room", "written")

    def __init__(self, folder: Path, room: int) -> None:
        # The names are in the order of their times.
        name = f"{time.time_ns():020}-{new_id()}"
        hidden = folder / f".{name}"
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        self.descriptor = os.open(hidden, flags, 0o600)
        try:
            # Without this, a full disk would be found out by writing to memory, which ends the process.
            os.posix_fallocate(self.descriptor, 0, room)
            # Locked before it can be seen: who sees it without a lock knows that it is complete.
            fcntl.flock(self.descriptor, fcntl.LOCK_EX)
            self._mapped = mmap.mmap(self.descriptor, room)
        except OSError:
            hidden.unlink()
            raise
        self.path = folder / f"{name}{_SUFFIX}"
        hidden.rename(self.path)
        self.room = room
        self.written = 0
        self.opened_at = time.monotonic()

    def write(self, record: bytes) -> None:
        """Write a record where there is room for it; only one thread at a time may."""
        begin, end = self.written, self.written + len(record)
        # The separator comes last: until it is there, the record is not.
        self._mapped[begin + 1 : end] = record[1:]
        self._mapped[begin] = record[0]
        self.written = end

    def close(self) -> None:
        """Give back the room that was not needed; nothing is written any more."""
        self._mapped.close()
        os.ftruncate(self.descriptor, self.written)

    def __del__(self) -> None:
        if hasattr(self, "descriptor"):
            os.close(self.descriptor)


class Spool:
    """The folder of the segments of one node, which its worker processes share.

    :param most_bytes: how large all segments together may become; nothing is appended then until some went.
    """

    def __init__(self, folder: Path, *, most_bytes: int) -> None:
        self.folder = folder
        self._most_bytes = most_bytes
        self._segment: _Segment | None = None
        self._full = False
        self._claim: int | None = None
        self._node: str | None = None
        self._writing = threading.Lock()

    def append(self, text: bytes) -> None:
        """Append a JSON text, which the end of the process leaves whole or does not leave.

        :raises SpoolUnwritable: when it is not there afterwards.
        """
        if self._full:
            raise SpoolUnwritable(f"the spool has its full size of {self._most_bytes} bytes")
        record = b"\x1e%b\n" % text
        with self._writing:
            segment = self._segment
            if segment is None or segment.room - segment.written < len(record):
                segment = self._succeeded(len(record))
            segment.write(record)
            if segment.written == segment.room:
                self._leave()

    def tend(self) -> None:
        """Leave a segment that is old or was removed, see whether the spool is full, and write to the disk.

        To be called every second: by no more than was appended since may the spool outgrow its size, and no
        more may a power failure take.
        """
        with self._writing:
            segment = self._segment
            if segment is not None and (
                time.monotonic() - segment.opened_at >= SEGMENT_SECONDS
                or os.fstat(segment.descriptor).st_nlink == 0
            ):
                self._leave()
        self._full = sum(size for _, size in self.sizes()) >= self._most_bytes
        self._synchronise()

    def sizes(self) -> list[tuple[Path, int]]:
        """Return the segments, the oldest first, and how many bytes are written in each."""
        found = []
        for path in sorted(self.folder.glob(f"[0-9]*{_SUFFIX}")):
            try:
                found.append((path, _length(path)))
            except FileNotFoundError:
                continue
        return found

    def remove(self, path: Path) -> None:
        """Remove a segment, so that a power failure does not bring it back."""
        path.unlink(missing_ok=True)
        descriptor = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def claim_folding(self) -> bool:
        """Say whether this process is the one of the node that folds; once it is, it remains so."""
        if self._claim is None:
            self._make_folder()
            flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
            descriptor = os.open(self.folder / _FOLDING, flags, 0o600)
            if not _locked(descriptor):
                os.close(descriptor)
                return False
            self._claim = descriptor
        return True

    def give_up_folding(self) -> None:
        """Let another process fold."""
        if self._claim is not None:
            os.close(self._claim)
            self._claim = None

    def node(self) -> str:
        """Return the name of this node, which it gets when it is first asked for."""
        if self._node is None:
            path = self.folder / _NODE
            if not path.exists():
                self._make_folder()
                hidden = self.folder / f".{new_id()}"
                hidden.write_text(new_id(), encoding="ascii")
                # Unlike a renaming, this fails where another process was first.
                with suppress(FileExistsError):
                    path.hardlink_to(hidden)
                hidden.unlink()
            self._node = path.read_text(encoding="ascii")
        return self._node

    def _synchronise(self) -> None:
        with self._writing:
            if self._segment is None:
                return
            # Another one of the same file: threads that write need not wait for the disk, and may leave it.
            descriptor = os.dup(self._segment.descriptor)
        try:
            os.fdatasync(descriptor)
        finally:
            os.close(descriptor)

    def _succeeded(self, length: int) -> _Segment:
        """Leave the segment that there is, and return a new one with room for so many bytes."""
        try:
            self._leave()
            self._make_folder()
            self._segment = _Segment(self.folder, max(SEGMENT_BYTES, length))
        except OSError as error:
            raise SpoolUnwritable(f"cannot write to {self.folder}: {error.strerror}") from error
        return self._segment

    def _leave(self) -> None:
        if self._segment is not None:
            self._segment.close()
            self._segment = None

    def _make_folder(self) -> None:
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)


@dataclass(frozen=True)
class Chunk:
    """A part of a segment, from ``begin`` until before ``end``, in bytes.

    :ivar texts: the JSON texts in it, each with its place in the segment.
    :ivar torn: how many texts in it broke off.
    :ivar is_cut: whether there may be more than was asked for.
    :ivar is_last: whether nothing follows, and nothing ever will.
    """

    path: Path
    begin: int
    end: int
    texts: tuple[tuple[int, bytes], ...]
    torn: int
    is_cut: bool
    is_last: bool


def read_chunk(path: Path, begin: int, most: int) -> Chunk:
    """Read what is complete of a segment from a place on, not more than some bytes.

    :raises FileNotFoundError: when there is no such segment any more.
    """
    with path.open("rb") as file:
        # Before it is read: what is appended between the two is not missed.
        is_complete = _locked(file.fileno())
        file.seek(begin)
        data = file.read(most)
        written, zeros, _ = data.partition(b"\0")
        is_cut = len(data) == most and not zeros
        data = written
    is_last = is_complete and not is_cut
    # What is there after the last line feed may yet be continued.
    length = len(data) if is_last else data.rfind(b"\n") + 1
    before, *pieces = data[:length].split(_SEPARATOR)
    texts, torn, place = [], 1 if before else 0, begin + len(before)
    for piece in pieces:
        if piece.endswith(b"\n"):
            texts.append((place, piece[:-1]))
        else:
            torn += 1
        place += len(piece) + 1
    return Chunk(path, begin, begin + length, tuple(texts), torn, is_cut, is_last)


def _length(path: Path) -> int:
    """Return how many bytes are written in a segment; there may be room after them."""
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        if size == 0 or os.pread(file.fileno(), 1, size - 1) != b"\0":
            return size
        with mmap.mmap(file.fileno(), size, access=mmap.ACCESS_READ) as mapped:
            return mapped.find(b"\0")


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
