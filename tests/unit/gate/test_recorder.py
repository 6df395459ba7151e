from __future__ import annotations

import errno
import json
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from app.gate import spool as spooling
from app.gate.recorder import LONGEST_PATH, NotRecorded, SpoolRecorder, encoded
from app.gate.spool import Spool, SpoolUnwritable, read_chunk
from app.store.secrets import mint
from tests.unit.gate.verifications import verification

MOST = 1_000_000


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    return Spool(tmp_path / "spool", most_bytes=10 * MOST)


def texts(spool: Spool) -> list[bytes]:
    return [text for path, _ in spool.sizes() for _, text in read_chunk(path, 0, 10 * MOST).texts]


def test_what_is_recorded_is_all_that_is_known_of_the_verification() -> None:
    one = verification("t", reason="no_grant", path=None, client=None)
    assert json.loads(encoded(one)) == {
        "id": one.id,
        "at": one.at,
        "tenant": "t",
        "face": "verify",
        "actor": "credential:1",
        "allowed": False,
        "reason": "no_grant",
        "key": "key-t",
        "secret": "secret-1",
        "consumer": "consumer-1",
        "entitlements": [],
        "method": "GET",
        "path": None,
        "client": None,
        "took": 80_000,
    }


@pytest.mark.parametrize(
    ("path", "kept"),
    [
        ("/a?token=secret", "/a"),
        ("/a#token=secret", "/a"),
        ('/"\\\n\x1e\0\ud800é', '/"\\\n\x1e\0\ud800é'),
        ("/" + "x" * 2000, "/" + "x" * (LONGEST_PATH - 1)),
        ("", ""),
    ],
    ids=["query", "fragment", "odd characters", "long", "empty"],
)
def test_a_path_is_recorded_without_its_query_and_can_be_read_whatever_it_is(path: str, kept: str) -> None:
    text = encoded(verification("t", path=path, method="M" * 5000, client="1" * 5000))
    assert text.isascii()
    assert b"\n" not in text
    assert b"\x1e" not in text
    assert json.loads(text)["path"] == kept
    assert len(text) < 10_000


def test_what_has_the_form_of_a_key_is_not_recorded() -> None:
    secret = mint("ks", "live").text
    wrong = f"{secret[:-1]}{'A' if secret[-1] != 'A' else 'B'}"
    for text in (
        secret,
        wrong,
        f"/{secret}/x",
        "/%2f" + secret.replace("_", "%5F"),
        f"/{'x' * 950}/{secret}",
    ):
        kept = encoded(verification("t", path=text, method=text, client=text)).decode()
        assert secret[-49:-6] not in kept
        assert secret[-49:-29] not in kept, "nor the beginning of it"
    # The rest of the path is as it was.
    told = json.loads(encoded(verification("t", path=f"/a/{secret}/b?x")))["path"]
    assert told == f"/a/{secret[:-50]}_…/b"


def test_threads_that_record_at_once_keep_each_other_s_records_whole(
    spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    # So small that segments are succeeded while others still write to them.
    monkeypatch.setattr(spooling, "SEGMENT_BYTES", 5_000)
    recorder = SpoolRecorder(spool)
    made = [[verification("t") for _ in range(300)] for _ in range(8)]

    def record(mine: list[object]) -> None:
        for each in mine:
            recorder.record(each)

    threads = [threading.Thread(target=record, args=(mine,)) for mine in made]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(spool.sizes()) > 50
    assert sorted(json.loads(text)["id"] for text in texts(spool)) == sorted(
        each.id for mine in made for each in mine
    )


def test_a_spool_that_is_full_refuses_until_there_is_room(spool: Spool) -> None:
    small = Spool(spool.folder, most_bytes=1_000)
    recorder = SpoolRecorder(small)
    while sum(size for _, size in small.sizes()) < 1_000:
        recorder.record(verification("t"))
    small.tend()
    with pytest.raises(NotRecorded):
        recorder.record(verification("t"))
    SpoolRecorder(small, required=False).record(verification("t"))
    for path, _ in small.sizes():
        small.remove(path)
    small.tend()
    recorder.record(verification("t"))
    assert len(texts(small)) == 1


def test_a_folder_that_cannot_be_made_refuses(tmp_path: Path) -> None:
    (tmp_path / "spool").write_text("a file")
    with pytest.raises(NotRecorded):
        SpoolRecorder(Spool(tmp_path / "spool", most_bytes=MOST)).record(verification("t"))


def without_space(_descriptor: int, _offset: int, _length: int) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_disk_without_space_refuses(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spooling, "SEGMENT_BYTES", 1)
    spool.append(b"{}")
    with monkeypatch.context() as full:
        full.setattr(os, "posix_fallocate", without_space)
        with pytest.raises(SpoolUnwritable, match="No space left"):
            spool.append(b"[1]")
    assert texts(spool) == [b"{}"]
    assert [each.name for each in spool.folder.iterdir() if each.name.startswith(".")] == []
    spool.append(b"[2]")
    assert texts(spool) == [b"{}", b"[2]"]


def test_a_text_that_broke_off_is_left_out_and_its_followers_are_not(tmp_path: Path) -> None:
    path = tmp_path / "s"
    path.write_bytes(b'\x1e{"a":1}\n\x1e{"b"\x1e{"c":3}\n\x1e{"d"')
    chunk = read_chunk(path, 0, MOST)
    assert [text for _, text in chunk.texts] == [b'{"a":1}', b'{"c":3}']
    assert (chunk.torn, chunk.is_last, chunk.end) == (2, True, path.stat().st_size)
    for place, text in chunk.texts:
        assert path.read_bytes()[place + 1 :].startswith(text)


def test_the_unfinished_end_of_a_segment_in_use_is_waited_for(spool: Spool) -> None:
    spool.append(b"{}")
    (path, size) = spool.sizes()[0]
    with path.open("r+b") as file:
        file.seek(size)
        file.write(b'\x1e{"half')
    chunk = read_chunk(path, 0, MOST)
    assert (chunk.end, chunk.is_last, chunk.torn) == (size, False, 0)


def test_a_segment_that_somebody_removed_is_not_written_to_any_more(spool: Spool) -> None:
    spool.append(b"{}")
    spool.remove(spool.sizes()[0][0])
    spool.tend()
    spool.append(b"{}")
    assert texts(spool) == [b"{}"]


def test_recording_costs_a_few_times_what_writing_does(spool: Spool, tmp_path: Path) -> None:
    recorder, one = SpoolRecorder(spool), verification("t")
    line = b"\x1e" + encoded(one) + b"\n"
    descriptor = os.open(tmp_path / "plain", os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def fastest(call: Callable[[], object]) -> int:
        # Of many, so that what else runs on the machine does not matter.
        took = []
        for _ in range(3_000):
            started = time.perf_counter_ns()
            call()
            took.append(time.perf_counter_ns() - started)
        return sorted(took)[len(took) // 10]

    written = fastest(lambda: os.write(descriptor, line))
    assert fastest(lambda: recorder.record(one)) < 12 * written
    os.close(descriptor)
