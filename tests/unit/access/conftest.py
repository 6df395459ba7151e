"""A store with one tenant, and what makes digests."""

from __future__ import annotations

import pytest
from sqlalchemy.engine import Engine

from app.access.tenants import Tenant, create_tenant
from app.store.peppers import Peppers
from app.store.unit_of_work import Store


@pytest.fixture
def store(set_up_engine: Engine) -> Store:
    return Store(set_up_engine)


@pytest.fixture
def peppers() -> Peppers:
    return Peppers({1: b"1" * 32})


@pytest.fixture
def tenant(store: Store) -> Tenant:
    return create_tenant(store, "acme")
