"""What docs/conformance.md lists is what there is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from conformance.__main__ import main
from conformance.rfc.trials import TRIALS
from conformance.suites import SUITE_NAMES

DOCUMENT = (Path(__file__).parents[3] / "docs" / "conformance.md").read_text(encoding="utf-8")


def test_every_option_is_described(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    offered = set(re.findall(r"--[a-z][a-z-]+", capsys.readouterr().out)) - {"--help"}
    described = set(re.findall(r"`(--[a-z][a-z-]+)", DOCUMENT))
    assert described == offered


def test_every_suite_is_described() -> None:
    assert all(f"`{name}`" in DOCUMENT for name in SUITE_NAMES)


def test_the_number_of_requirements_is_the_one_of_the_table() -> None:
    said = re.search(r"`rfc`, (\d+) requirements", DOCUMENT)
    assert said is not None
    assert int(said[1]) == len(TRIALS)
    rows = re.findall(r"^\| [A-Zs].+ \| (\d+) \| (\d+) \| (\d+) \| (\d+) \|$", DOCUMENT, re.MULTILINE)
    assert len(rows) == 4
    assert all(sum(map(int, row)) == len(TRIALS) for row in rows)
