"""The whole application on a real database of each kind; every test has tenants of its own."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.engine import Engine
from werkzeug.test import TestResponse

from app import create_app
from app.access import rate_limit
from app.access.credentials import issue_credential
from app.access.tenants import DEFAULT_RECOVERY_WINDOW, create_tenant
from app.directory.consumers import CONSUMER_SCHEMA
from app.directory.entitlements import ENTITLEMENT_SCHEMA
from app.gate.verify import GATE_HEADER
from app.operator.connections import open_connection
from app.scim.dialects import DIALECTS
from app.settings import Settings
from app.store import tables
from app.store.peppers import Peppers
from app.store.tables import FOREVER
from app.store.unit_of_work import Store, new_id
from tests.http.openapi_answers import as_announced

USER = "urn:ietf:params:scim:schemas:core:2.0:User"
GROUP = "urn:ietf:params:scim:schemas:core:2.0:Group"
ENTITLEMENT = ENTITLEMENT_SCHEMA
CONSUMER = CONSUMER_SCHEMA
PATCH = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
BULK = "urn:ietf:params:scim:api:messages:2.0:BulkRequest"

SECOND = 1_000_000
HOUR = 3600 * SECOND
DAY = 24 * HOUR

_TIMES = frozenset(
    [
        "since",
        "until",
        "created_at",
        "modified_at",
        "issued_at",
        "claimed_at",
        "expires_at",
        "revoked_at",
        "ends_at",
        "replaced_at",
        "used_at",
        "reuse_reported_at",
        "deleted_at",
        "access_starts_at",
        "access_ends_at",
        "last_write_at",
        "moment",
        "engaged_at",
        "decided_at",
        "holds_until",
    ]
)


@pytest.fixture(autouse=True)
def _without_hurry(no_hurry: None) -> None:
    """Have no test fail because the machine is slow; those that are about waiting have the usual patience."""


@dataclass(frozen=True)
class Face:
    """One face of the application, spoken to with one token."""

    client: FlaskClient
    root: str
    headers: dict[str, str]

    def send(self, method: str, path: str, body: Any = None, **query: Any) -> TestResponse:
        answer = self.client.open(
            f"{self.root}{path}", method=method, json=body, query_string=query, headers=self.headers
        )
        if self.root == "/operator/v1":
            as_announced(self.client.application, method, f"{self.root}{path}", answer)
        return answer

    def get(self, path: str, **query: Any) -> TestResponse:
        return self.send("GET", path, **query)

    def post(self, path: str, body: Any = None) -> TestResponse:
        return self.send("POST", path, body)

    def put(self, path: str, body: Any) -> TestResponse:
        return self.send("PUT", path, body)

    def delete(self, path: str) -> TestResponse:
        return self.send("DELETE", path)

    def patch(self, path: str, *operations: dict[str, Any]) -> TestResponse:
        return self.send("PATCH", path, {"schemas": [PATCH], "Operations": list(operations)})


@dataclass(frozen=True)
class Key:
    """A claimed key."""

    id: str
    secret: str


@dataclass(frozen=True)
class Tenant:
    """A tenant with a way in to each face, and the short ways of a test to fill its directory."""

    id: str
    flask: Flask
    store: Store
    peppers: Peppers
    scim: Face
    operator: Face
    gate: Face

    def connect(self, dialect: str) -> Face:
        """Open another connection, of some dialect."""
        with self.store.writing(self.id, actor="test") as unit:
            name = f"{dialect}-{secrets.token_hex(4)}"
            _, _, token = open_connection(unit, self.peppers, name, dialect, dialects=DIALECTS)
        return _face(self.flask, "/scim/v2", token)

    def user(self, name: str, /, **attributes: Any) -> str:
        return self._made("/Users", {"schemas": [USER], "userName": name, **attributes})

    def group(self, name: str, *members: str, **attributes: Any) -> str:
        listed = [{"value": each} for each in members]
        return self._made(
            "/Groups", {"schemas": [GROUP], "displayName": name, "members": listed, **attributes}
        )

    def entitlement(self, value: str, *, groups: tuple[str, ...] = (), **attributes: Any) -> str:
        mapped = [{"value": each} for each in groups]
        return self._made(
            "/Entitlements", {"schemas": [ENTITLEMENT], "value": value, "groups": mapped, **attributes}
        )

    def key(self, user_id: str, *values: str) -> Key:
        """Issue a key by the operator, and claim it."""
        issued = self.operator.post("/keys", {"consumer": user_id, "entitlements": list(values)})
        assert issued.status_code == 201, issued.text
        return self.claim(issued.get_json()["id"])

    def claim(self, key_id: str) -> Key:
        claimed = self.operator.post(f"/keys/{key_id}/claim")
        assert claimed.status_code == 200, claimed.text
        return Key(key_id, claimed.get_json()["secret"])

    def keys(self, **query: Any) -> list[dict[str, Any]]:
        listed = self.operator.get("/keys", count=1000, **query)
        assert listed.status_code == 200, listed.text
        found: list[dict[str, Any]] = listed.get_json()["Resources"]
        return found

    def brake(self, connection_id: str) -> str:
        """Engage the brake of a connection, behind the application's back; return its id."""
        with self.store.writing(self.id, actor="test") as unit:
            row = {"id": f"brk_{new_id()}", "tenant_id": unit.tenant_id, "connection_id": connection_id}
            counts = {"engaged_at": unit.now, "active": 1, "threshold": 1, "estimated": False}
            unit.execute(sa.insert(tables.brake).values(**row, **counts, holds_until=FOREVER))
        return row["id"]

    def verify(self, key: Key, **query: str) -> str:
        """Return what the gate says: ``allow``, or the reason of its deny."""
        answer = self.gate.client.get(
            "/gate/verify",
            query_string=query,
            headers={**self.gate.headers, "Authorization": f"Bearer {key.secret}"},
        )
        assert answer.status_code in (200, 401, 403)
        return "allow" if answer.status_code == 200 else answer.headers["X-Auth-Reason"]

    def read(self, path: str) -> dict[str, Any]:
        answer = self.scim.get(path)
        assert answer.status_code == 200, answer.text
        document: dict[str, Any] = answer.get_json()
        return document

    def members(self, group_id: str) -> set[str]:
        return {each["value"] for each in self.read(f"/Groups/{group_id}").get("members", [])}

    def let_pass(self, microseconds: int) -> None:
        """Let time pass: move everything that is stored about the tenant's keys into the past."""
        with self.store.engine.begin() as connection:
            for table in tables.metadata.sorted_tables:
                times = [column for column in table.c if column.name in _TIMES]
                owner = table.c.get("tenant_id", table.c.id if table is tables.tenant else None)
                if not times or owner is None or table in (tables.credential, tables.connection):
                    continue
                connection.execute(
                    sa.update(table)
                    .where(owner == self.id)
                    .values(
                        {
                            column: sa.case((column == FOREVER, column), else_=column - microseconds)
                            for column in times
                        }
                    )
                )

    def sql(self, statement: sa.Executable) -> list[Any]:
        """Run a statement behind the application's back; return its rows, if it has any."""
        with self.store.engine.begin() as connection:
            result = connection.execute(statement)
            return list(result) if result.returns_rows else []

    @contextmanager
    def wrote_in_the_future(self) -> Iterator[None]:
        """Let the tenant's last write be a day ahead, as when the clock is set back; afterwards it is not.

        What was decided of the tenant could not be folded else.
        """
        last_write = sa.update(tables.tenant).where(tables.tenant.c.id == self.id)
        self.sql(last_write.values(last_write_at=tables.tenant.c.last_write_at + DAY))
        try:
            yield
        finally:
            self.sql(last_write.values(last_write_at=tables.tenant.c.last_write_at - DAY))

    def _made(self, path: str, body: dict[str, Any]) -> str:
        answer = self.scim.post(path, body)
        assert answer.status_code == 201, answer.text
        made: str = answer.get_json()["id"]
        return made


def _face(flask: Flask, root: str, token: str, header: str = "Authorization") -> Face:
    return Face(flask.test_client(), root, {header: f"Bearer {token}"})


@pytest.fixture(scope="session")
def settings(shared_engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return Settings.from_environment(
        {
            "KEYSTEWARD_DATA_DIR": str(tmp_path_factory.mktemp("data")),
            "KEYSTEWARD_DATABASE_URL": shared_engine.url.render_as_string(hide_password=False),
            "KEYSTEWARD_LOOPBACK_ISSUERS": "yes",
        }
    )


@pytest.fixture(scope="session")
def app(settings: Settings) -> Flask:
    """Return the application on the database that tests share."""
    return create_app(settings)


@pytest.fixture
def found(app: Flask, settings: Settings, shared_store: Store) -> Callable[..., Tenant]:
    """Return what founds a tenant: with a recovery window in microseconds, and the dialect of its IdP."""
    peppers = settings.load_peppers()

    def founding(*, recovery_window: int = DEFAULT_RECOVERY_WINDOW, dialect: str = "field") -> Tenant:
        name = f"tenant-{secrets.token_hex(6)}"
        made = create_tenant(shared_store, name, recovery_window=recovery_window)
        with shared_store.writing(made.id, actor="test") as unit:
            _, _, scim = open_connection(unit, peppers, "idp", dialect, dialects=DIALECTS)
            _, operator = issue_credential(unit, peppers, label="operator", scopes=["operator"])
            _, gate = issue_credential(unit, peppers, label="gate", scopes=["gate"])
        return Tenant(
            made.id,
            app,
            shared_store,
            peppers,
            _face(app, "/scim/v2", scim),
            _face(app, "/operator/v1", operator),
            _face(app, "/gate", gate, GATE_HEADER),
        )

    return founding


@pytest.fixture
def tenant(found: Callable[..., Tenant]) -> Tenant:
    return found()


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    """Return a client without any token."""
    return app.test_client()


@pytest.fixture
def limited(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Callable[[int], FlaskClient]:
    """Return what makes a client of an application that takes so many requests of a connection, and no more.

    It counts by a clock that stands still.
    """
    standing = partial(rate_limit.RateLimit, clock=lambda: 0.0)

    def make(requests: int) -> FlaskClient:
        monkeypatch.setattr(rate_limit, "RateLimit", standing)
        return create_app(replace(settings, connection_burst=requests)).test_client()

    return make
