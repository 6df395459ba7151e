"""Databases with their tables."""

from __future__ import annotations

import pytest
from sqlalchemy.engine import Engine

from app.store.upgrading import upgrade


@pytest.fixture
def engine(engine: Engine) -> Engine:
    upgrade(engine)
    return engine
