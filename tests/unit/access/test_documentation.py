"""docs/connections.md names what there is."""

from __future__ import annotations

import re
from pathlib import Path

from app.access.warnings import KINDS
from app.settings import SETTINGS

TEXT = (Path(__file__).parents[3] / "docs" / "connections.md").read_text(encoding="utf-8")


def test_every_kind_of_warning_is_explained() -> None:
    assert re.findall(r"^\| `(\w+)` \| (?!.*header)", TEXT, re.MULTILINE)[-len(KINDS) :] == list(KINDS)


def test_the_settings_that_are_named_exist_with_the_default_that_is_told() -> None:
    defaults = {each.name: each.default for each in SETTINGS}
    assert set(re.findall(r"KEYSTEWARD_[A-Z_]+", TEXT)) <= set(defaults)
    for name, default in re.findall(r"`(KEYSTEWARD_[A-Z_]+)` \((\d+)\)", TEXT):
        assert defaults[name] == default
