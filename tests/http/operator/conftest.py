"""The operator's face alone, on a real database of each kind, with two tenants."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.exceptions import HTTPException
from werkzeug.test import TestResponse

from app.access.credentials import issue_credential
from app.access.protector import Protector
from app.access.tenants import create_tenant
from app.directory.consumers import ConsumerState, assert_consumer
from app.directory.entitlements import EntitlementState, assert_entitlement, forget_entitlement
from app.keys.lifecycle import Minting
from app.operator import face
from app.operator.problems import problem_response
from app.store.peppers import Peppers
from app.store.unit_of_work import Store, Unit, new_id

PEPPERS = Peppers({1: b"p" * 32})
DIALECTS = ("field", "okta")


@dataclass
class Directory:
    """A tenant, its directory, and clients with its tokens."""

    flask: Flask
    store: Store
    tenant_id: str
    tokens: dict[str, str]

    def client(self, scope: str = "operator") -> Client:
        return Client(self.flask.test_client(), self.tokens[scope])

    def user(self, name: str, *values: str, active: bool = True, ends: int | None = None) -> str:
        """Add a user with values of entitlements; return its id."""
        user_id = new_id()
        self.change(user_id, name, *values, active=active, ends=ends)
        return user_id

    def change(
        self, user_id: str, name: str, *values: str, active: bool = True, ends: int | None = None
    ) -> None:
        direct = frozenset(("direct", value) for value in values)
        with self.writing() as unit:
            assert_consumer(unit, user_id, ConsumerState(name, active, None, ends, direct))

    def entitlement(self, value: str, *, issuance: str = "manual", lifetime: int | None = None) -> str:
        """Add an entitlement; return its id."""
        entitlement_id = new_id()
        mapped = frozenset({("direct", value)})
        state = EntitlementState(value, "orders", ("read",), {}, issuance, lifetime, mapped)
        with self.writing() as unit:
            assert_entitlement(unit, entitlement_id, state)
        return entitlement_id

    def delete_entitlement(self, entitlement_id: str) -> None:
        with self.writing() as unit:
            forget_entitlement(unit, entitlement_id)

    @contextmanager
    def writing(self) -> Iterator[Unit]:
        with self.store.writing(self.tenant_id, actor="connection:test") as unit:
            yield unit


@dataclass
class Client:
    """Speaks to the face with one token."""

    flask: FlaskClient
    token: str

    def get(self, path: str, **query: Any) -> TestResponse:
        return self.flask.get(f"/operator/v1{path}", query_string=query or None, headers=self._headers)

    def post(self, path: str, body: Any = None) -> TestResponse:
        return self.flask.post(f"/operator/v1{path}", json=body, headers=self._headers)

    def send(self, path: str, body: bytes, media_type: str | None = "application/json") -> TestResponse:
        return self.flask.post(
            f"/operator/v1{path}", data=body, content_type=media_type, headers=self._headers
        )

    @property
    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}


def serve(store: Store) -> Flask:
    """Return an application that serves the operator's face alone."""
    application = Flask("operator")
    application.register_error_handler(HTTPException, problem_response)
    protector = Protector(store, PEPPERS)
    application.register_blueprint(
        face.blueprint(store, Minting(PEPPERS), protector.acquire, dialects=DIALECTS, silent_after=3)
    )
    return application


def found(flask: Flask, store: Store) -> Directory:
    """Found a tenant with a token for each scope."""
    tenant = create_tenant(store, f"tenant-{new_id()}")
    with store.writing(tenant.id, actor="test") as unit:
        tokens = {
            scope: issue_credential(unit, PEPPERS, label=scope, scopes=[scope])[1]
            for scope in ("operator", "audit", "gate")
        }
    return Directory(flask, store, tenant.id, tokens)


@pytest.fixture
def flask(shared_store: Store) -> Flask:
    return serve(shared_store)


@pytest.fixture
def directory(flask: Flask, shared_store: Store) -> Directory:
    return found(flask, shared_store)


@pytest.fixture
def other_directory(flask: Flask, shared_store: Store) -> Directory:
    return found(flask, shared_store)


@pytest.fixture
def operator(directory: Directory) -> Client:
    return directory.client()
