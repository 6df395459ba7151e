"""A directory to measure with: people, each with a claimed key, and a gateway."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from shutil import copytree, ignore_patterns

import sqlalchemy as sa
from flask.testing import FlaskClient

from app import create_app
from app.access.credentials import issue_credential
from app.access.tenants import create_tenant
from app.gate.folding import Folding
from app.gate.spool import Spool
from app.operator.connections import open_connection
from app.scim.dialects import DIALECTS
from app.settings import Settings
from app.store.engine import create_engine
from app.store.tables import decision_batch
from app.store.unit_of_work import Store
from app.store.upgrading import upgrade

_USER = "urn:ietf:params:scim:schemas:core:2.0:User"
_ENTITLEMENT = "urn:keysteward:scim:schemas:core:1.0:Entitlement"


@dataclass(frozen=True)
class Scene:
    """What a gateway needs to ask: its token, and callers' secrets."""

    token: str
    secrets: tuple[str, ...]


def settings_of(folder: Path) -> Settings:
    """Return the settings of an installation in a folder, on SQLite."""
    return Settings.from_environment({"KEYSTEWARD_DATA_DIR": str(folder)})


def build(folder: Path, people: int) -> Scene:
    """Fill a new installation in a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    settings = settings_of(folder)
    store, peppers = Store(create_engine(settings.database_url)), settings.load_peppers()
    upgrade(store.engine)
    tenant = create_tenant(store, "measured")
    with store.writing(tenant.id, actor="benchmark") as unit:
        _, _, scim = open_connection(unit, peppers, "idp", "field", dialects=DIALECTS)
        _, operator = issue_credential(unit, peppers, label="operator", scopes=["operator"])
        _, token = issue_credential(unit, peppers, label="gate", scopes=["gate"])
    client = create_app(settings).test_client()
    entitlement = {
        "schemas": [_ENTITLEMENT],
        "value": "orders",
        "scopes": ["orders.read", "orders.write"],
        "conditions": {"methods": ["GET", "POST"], "paths": ["/orders/*"]},
    }
    _posted(client, "/scim/v2/Entitlements", scim, entitlement)
    secrets = []
    for number in range(people):
        user = {"schemas": [_USER], "userName": f"user{number}", "entitlements": [{"value": "orders"}]}
        consumer = _posted(client, "/scim/v2/Users", scim, user)["id"]
        key = _posted(
            client, "/operator/v1/keys", operator, {"consumer": consumer, "entitlements": ["orders"]}
        )["id"]
        secrets.append(_posted(client, f"/operator/v1/keys/{key}/claim", operator, {})["secret"])
    with store.engine.connect() as connection:
        # The file of the database is all there is of it, and can be copied.
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    store.engine.dispose()
    return Scene(token, tuple(secrets))


def copied(scene: Path, folder: Path) -> Path:
    """Copy an installation that nothing writes to into a new folder, and return that."""
    return copytree(scene, folder, ignore=ignore_patterns("*-wal", "*-shm"))


def decisions_recorded(folder: Path) -> int:
    """Return how many decisions an installation has written down, those not folded yet included."""
    settings = settings_of(folder)
    store = Store(create_engine(settings.database_url))
    Folding(store, Spool(settings.spool_folder, most_bytes=settings.spool_bytes)).fold_all()
    with store.engine.connect() as connection:
        counted = connection.execute(sa.select(sa.func.sum(decision_batch.c.decisions))).scalar_one()
    store.engine.dispose()
    return int(counted or 0)


def _posted(client: FlaskClient, path: str, token: str, body: Mapping[str, object]) -> dict[str, str]:
    answer = client.post(path, json=body, headers={"Authorization": f"Bearer {token}"})
    if answer.status_code not in (200, 201):
        raise RuntimeError(f"{path}: {answer.status_code} {answer.text}")
    made: dict[str, str] = answer.get_json()
    return made
