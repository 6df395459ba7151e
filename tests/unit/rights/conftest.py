"""Databases with their tables."""

from __future__ import annotations

import pytest
from sqlalchemy.engine import Engine


@pytest.fixture
def engine(set_up_engine: Engine) -> Engine:
    return set_up_engine
