"""The file of the peppers: changed in one piece, and seen at once by whoever has it open."""

from __future__ import annotations

import json
import logging
import threading
from pathlib import Path

import pytest

from app.store import pepper_file
from app.store.pepper_file import (
    PepperInUse,
    PepperVersionUnknown,
    add_pepper,
    drop_pepper,
    load_peppers,
    use_pepper,
)
from app.store.peppers import PepperMissing, PepperUnusable, parse_peppers


@pytest.fixture
def path(tmp_path: Path) -> Path:
    load_peppers(tmp_path / "peppers.json")
    return tmp_path / "peppers.json"


def test_a_new_pepper_is_used_at_once_by_who_has_the_file_open(path: Path) -> None:
    peppers = load_peppers(path)
    before = peppers.digest("key", "secret")
    assert add_pepper(path) == 2
    assert peppers.current == 2
    assert peppers.digest("key", "secret") != before
    assert peppers.digest("key", "secret", 1) == before
    assert path.stat().st_mode & 0o777 == 0o600
    assert sorted(each.name for each in path.parent.iterdir()) == [".peppers.json.changes", "peppers.json"]


def test_a_pepper_for_later_only_verifies_until_it_is_used(path: Path) -> None:
    peppers = load_peppers(path)
    assert add_pepper(path, later=True) == 2
    assert (peppers.current, sorted(peppers.by_version)) == (1, [1, 2])
    peppers.digest("key", "secret", 2)
    use_pepper(path, 2)
    assert peppers.current == load_peppers(path).current == 2
    use_pepper(path, 1)
    assert peppers.current == 1
    with pytest.raises(PepperVersionUnknown):
        use_pepper(path, 3)


def test_a_dropped_pepper_is_gone_at_once(path: Path) -> None:
    peppers = load_peppers(path)
    with pytest.raises(PepperInUse):
        drop_pepper(path, 1)
    add_pepper(path)
    drop_pepper(path, 1)
    with pytest.raises(PepperMissing):
        peppers.digest("key", "secret", 1)
    with pytest.raises(PepperVersionUnknown):
        drop_pepper(path, 1)
    # A version is never given to another pepper while a later one is there.
    assert add_pepper(path) == 3


def test_many_who_add_at_once_each_add_one(path: Path) -> None:
    threads = [threading.Thread(target=add_pepper, args=[path]) for _ in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert sorted(load_peppers(path).by_version) == list(range(1, 10))


def test_a_change_is_seen_without_a_look_at_the_file(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pepper_file, "LOOKED_AT_EVERY", 3600)
    peppers = load_peppers(path)
    assert peppers.current == 1
    looks: list[Path] = []
    mark = pepper_file._mark
    monkeypatch.setattr(pepper_file, "_mark", lambda path: looks.append(path) or mark(path))
    assert [peppers.current for _ in range(3)] == [1] * 3
    assert looks == []
    for version in (2, 3):
        assert (add_pepper(path), peppers.current) == (version, version)
        drop_pepper(path, version - 1)
        assert sorted(peppers.by_version) == [version]


def test_where_nothing_can_be_written_beside_it_the_file_is_looked_at(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pepper_file, "LOOKED_AT_EVERY", 3600)
    path.with_name(".peppers.json.changes").unlink()
    path.with_name(".peppers.json.changes").mkdir()
    peppers = load_peppers(path)
    assert peppers.current == 1
    assert add_pepper(path) == peppers.current == 2


@pytest.mark.parametrize("content", ["", "{", '{"1": "short"}', '{"1": 5}', None])
def test_a_spoilt_file_changes_nothing_and_is_logged_once(
    path: Path, content: str | None, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pepper_file, "LOOKED_AT_EVERY", 0)
    peppers = load_peppers(path)
    digest = peppers.digest("key", "secret")
    good = path.read_text()
    path.unlink() if content is None else path.write_text(content)
    with caplog.at_level(logging.ERROR):
        assert [peppers.digest("key", "secret") for _ in range(3)] == [digest] * 3
    assert len(caplog.records) == 1
    secret = next(iter(json.loads(good).values()))
    assert secret not in caplog.text
    path.write_text(good)
    path.chmod(0o600)
    add_pepper(path)
    assert peppers.current == 2


def test_a_file_that_others_may_read_is_refused(path: Path) -> None:
    path.chmod(0o640)
    for refused in (lambda: load_peppers(path), lambda: add_pepper(path)):
        with pytest.raises(PepperUnusable, match="chmod 600"):
            refused()


@pytest.mark.parametrize("current", ['"1"', "3", "true", "1.5"])
def test_the_current_one_must_be_there(path: Path, current: str) -> None:
    pepper = next(iter(json.loads(path.read_text()).values()))
    assert parse_peppers(f'{{"1": "{pepper}", "2": "{pepper}", "current": 1}}').current == 1
    with pytest.raises(PepperUnusable):
        parse_peppers(f'{{"1": "{pepper}", "2": "{pepper}", "current": {current}}}')
