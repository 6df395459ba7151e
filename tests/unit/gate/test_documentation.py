"""docs/usage.md names what there is."""

from __future__ import annotations

import re
from pathlib import Path

from click import Context

from app.cli import main
from app.gate.reasons import DEAD
from app.gate.usage_rows import MOST_NETWORKS
from app.keys.decisions import MOST_BATCHES, MOST_READ
from app.settings import SETTINGS

TEXT = (Path(__file__).parents[3] / "docs" / "usage.md").read_text(encoding="utf-8")


def test_the_settings_that_are_named_exist_with_the_default_that_is_told() -> None:
    defaults = {each.name: each.default for each in SETTINGS}
    named = set(re.findall(r"KEYSTEWARD_[A-Z_]+", TEXT))
    assert named == {
        "KEYSTEWARD_SPOOL_MEGABYTES",
        "KEYSTEWARD_UNRECORDED_DECISIONS",
        "KEYSTEWARD_METRICS_TOKEN",
    }
    assert named <= defaults.keys()
    assert re.findall(r"`KEYSTEWARD_SPOOL_MEGABYTES` \((\d+)\)", TEXT) == [
        defaults["KEYSTEWARD_SPOOL_MEGABYTES"]
    ]


def test_the_commands_and_options_that_are_named_exist() -> None:
    named = re.findall(r"`keysteward ([a-z-]+)([^`]*)`", TEXT)
    assert len(named) >= 5
    for name, rest in named:
        command = main.get_command(Context(main), name)
        assert command is not None
        options = {option for each in command.params for option in each.opts}
        assert set(re.findall(r"--[a-z]+", rest)) <= options


def test_the_bounds_and_reasons_are_those_of_the_code() -> None:
    text = TEXT.replace("\n", " ")
    assert f"Of each key {MOST_NETWORKS} are told apart" in text
    assert f"no more than {MOST_BATCHES:,} batches".replace(",", " ") in text
    assert f"about {MOST_READ:,} decisions".replace(",", " ") in text
    dead = re.search(r"nothing brings back: ([^.]*)\.", text)
    assert dead is not None
    assert set(re.findall(r"`(\w+)`", dead[1])) == {each.code for each in DEAD}
