"""The file of the peppers: made at the first start, changed in one piece, seen by every process at once."""

from __future__ import annotations

import contextlib
import fcntl
import logging
import mmap
import os
import secrets
import struct
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from app.store.peppers import Held, Peppers, PepperUnusable, parse_peppers, peppers_as_json

log = logging.getLogger(__name__)

LOOKED_AT_EVERY = 0.01
"""How often, in seconds, the file is looked at for what was not changed by this module. What was is seen at
once."""

_NUMBER: Final = struct.Struct("=Q")
_Mark = tuple[int, int, int]


class PepperVersionUnknown(PepperUnusable):
    """There is no pepper of this version."""


class PepperInUse(PepperUnusable):
    """A pepper cannot go: it makes the new digests."""


class PepperFile(Peppers):
    """The peppers as their file has them at each use, so that nothing need be restarted when it changes.

    A file that cannot be read, or that a slip of an editor has spoilt, says nothing: what it said before
    still holds, and the log says so.
    """

    def __init__(self, path: Path) -> None:
        """Read the file.

        :raises PepperUnusable: when it cannot be read, or others than its owner may read it.
        """
        self._path = path
        self._changes = _Changes.of(path)
        self._seen: tuple[bytes, float] = (b"", 0.0)
        self._mark = _mark(path)
        self._held = _parsed(path)

    def held(self) -> Held:
        if self._changes is None:
            self._look()
            return self._held
        # Read before the file is looked at: a change that comes between makes it another one again.
        number, now = self._changes.number(), time.monotonic()
        seen, looked_at = self._seen
        if number != seen or now - looked_at >= LOOKED_AT_EVERY:
            self._look()
            self._seen = number, now
        return self._held

    def _look(self) -> None:
        mark = _mark(self._path)
        if mark != self._mark:
            try:
                self._held = _parsed(self._path)
            except PepperUnusable:
                log.exception("the peppers stay as they were: their file cannot be used")
            # Last, and with the mark from before the reading: who comes between reads the file once more.
            self._mark = mark


class _Changes:
    """A number beside the file, in memory that all processes share: another one after each change.

    So to ask whether the file changed takes no system call, which would let other threads in.
    """

    def __init__(self, shared: mmap.mmap) -> None:
        self._shared = shared

    @classmethod
    def of(cls, path: Path) -> _Changes | None:
        """Return that of a pepper file; None where nothing can be written beside it."""
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
        try:
            descriptor = os.open(path.with_name(f".{path.name}.changes"), flags, 0o600)
            try:
                os.posix_fallocate(descriptor, 0, _NUMBER.size)
                return cls(mmap.mmap(descriptor, _NUMBER.size))
            finally:
                os.close(descriptor)
        except OSError:
            return None

    def number(self) -> bytes:
        return self._shared[:]

    def note(self) -> None:
        """Tell every process that the file is another one now. One process at a time may."""
        (number,) = _NUMBER.unpack(self._shared)
        self._shared[:] = _NUMBER.pack((number + 1) % 2**64)


def load_peppers(path: Path) -> Peppers:
    """Return the peppers of a file; create it with mode 600 and a first pepper where there is none.

    :raises PepperUnusable: when the file cannot be read or written, or others than its owner may read it.
    """
    if not path.exists():
        _create(path)
    return PepperFile(path)


def add_pepper(path: Path, *, later: bool = False) -> int:
    """Add a new pepper to a file and return its version; it makes the new digests from now on.

    :param later: it only verifies until :func:`use_pepper`, so that it can first be brought to every machine.
    :raises PepperUnusable: when the file cannot be read or written.
    """
    with _changing(path) as changed:
        held = changed.held
        version = max(held.by_version) + 1
        more = {**held.by_version, version: secrets.token_bytes(32)}
        changed.held = Held(more, held.current if later else None)
    return version


def use_pepper(path: Path, version: int) -> None:
    """Let a pepper of a file make the new digests.

    :raises PepperVersionUnknown: when it has none of this version.
    :raises PepperUnusable: when the file cannot be read or written.
    """
    with _changing(path) as changed:
        by_version = changed.held.by_version
        _require(by_version, version)
        changed.held = Held(by_version, None if version == max(by_version) else version)


def drop_pepper(path: Path, version: int) -> None:
    """Take a pepper out of a file. Whatever has a digest under it is dead from then on.

    :raises PepperVersionUnknown: when it has none of this version.
    :raises PepperInUse: when it makes the new digests.
    :raises PepperUnusable: when the file cannot be read or written.
    """
    with _changing(path) as changed:
        held = changed.held
        _require(held.by_version, version)
        if version == held.current:
            raise PepperInUse(f"pepper {version} makes the new digests: add another one first")
        rest = {each: value for each, value in held.by_version.items() if each != version}
        changed.held = Held(rest, None if held.current == max(rest) else held.current)


def _require(by_version: Mapping[int, bytes], version: int) -> None:
    if version not in by_version:
        named = ", ".join(str(each) for each in sorted(by_version))
        raise PepperVersionUnknown(f"no pepper {version}: there is {named}")


@dataclass
class _Change:
    held: Held


@contextlib.contextmanager
def _changing(path: Path) -> Iterator[_Change]:
    """Enclose a change of the file: others wait with theirs, and a reader sees all of this one or none."""
    try:
        lock = os.open(path.parent, os.O_RDONLY)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            change = _Change(_parsed(path))
            yield change
            os.replace(_draft(path, change.held), path)
            changes = _Changes.of(path)
            if changes is not None:
                changes.note()
            os.fsync(lock)
        finally:
            os.close(lock)
    except OSError as error:
        raise PepperUnusable(f"cannot write {path}: {error.strerror}") from error


def _create(path: Path) -> None:
    """Write a first pepper; of several processes doing so at once, one wins and the others read its file."""
    try:
        draft = _draft(path, Held({1: secrets.token_bytes(32)}, None))
        with contextlib.suppress(FileExistsError):
            os.link(draft, path)
        draft.unlink()
    except OSError as error:
        raise PepperUnusable(f"cannot create {path}: {error.strerror}") from error


def _draft(path: Path, held: Held) -> Path:
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    with os.fdopen(
        os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8"
    ) as file:
        file.write(peppers_as_json(held))
        file.flush()
        os.fsync(file.fileno())
    return draft


def _mark(path: Path) -> _Mark | None:
    """What tells one content of the file from another without reading it; None while there is no file."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


def _parsed(path: Path) -> Held:
    try:
        if path.stat().st_mode & 0o077:
            raise PepperUnusable(f"{path} may be read by others: run chmod 600 {path}")
        return parse_peppers(path.read_text(encoding="utf-8")).held()
    except (OSError, UnicodeDecodeError) as error:
        said = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise PepperUnusable(f"cannot read {path}: {said}") from error
