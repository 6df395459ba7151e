"""The whole application, for the tests that drive it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from app.store import prepared_reads
from tests.http.conftest import app, found, settings

__all__ = ["app", "found", "settings"]


@pytest.fixture(scope="session", autouse=True)
def patient_gate() -> Iterator[None]:
    """Let the gate wait for a database that others keep busy: what is denied for that is no difference."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(prepared_reads, "PATIENCE", 60.0)
        yield
