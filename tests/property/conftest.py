"""The whole application, for the tests that drive it."""

from __future__ import annotations

import pytest

from tests.http.conftest import app, found, settings

__all__ = ["app", "found", "settings"]


@pytest.fixture(autouse=True)
def _without_hurry(no_hurry: None) -> None:
    """Let the gate wait for a database that others keep busy: what is denied for that is no difference."""
