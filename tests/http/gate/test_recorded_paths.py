"""A key that somebody writes into a path, or where a method or an address belongs, is in no record."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from urllib.parse import quote

import pytest
import sqlalchemy as sa

from app import FOLDING
from app.store import tables
from tests.http.conftest import Tenant
from tests.http.gate.faces import ASKED, FACES, Asking, held
from tests.unit.gate.verifications import recorded as folded


def everything(tenant: Tenant) -> str:
    """Return all that is kept of a tenant's decisions, and all that is told of them."""
    tenant.flask.extensions[FOLDING].fold_all()
    kept: list[Any] = folded(tenant.store, tenant.id)
    assert kept
    for table in tables.metadata.sorted_tables:
        owner = table.c.get("tenant_id")
        if owner is not None:
            kept += map(tuple, tenant.sql(sa.select(table).where(owner == tenant.id)))
    key = tenant.keys()[0]["id"]
    for path in (
        "/usage/dead-secrets",
        "/usage/networks",
        "/usage/unused",
        f"/keys/{key}/usage",
        "/decisions",
    ):
        answer = tenant.operator.get(path)
        assert answer.status_code == 200, path
        kept.append(answer.get_json())
    return repr(kept)


@pytest.mark.parametrize("face", FACES)
def test_a_key_in_a_path_is_not_recorded(by_face: Callable[[str], Asking], tenant: Tenant, face: str) -> None:
    asking = by_face(face)
    key = held(tenant)
    hidden = key.secret[-49:]
    for path in (
        f"/orders/{key.secret}",
        f"/orders/{key.secret}/7?key={key.secret}",
        f"/orders?key={key.secret}",
        f"/orders/%2f{quote(key.secret).replace('_', '%5f')}",
        f"/{'x' * 950}/{key.secret}",
        key.secret,
    ):
        assert asking.word(key, replace(ASKED, path=path)) == "allow"
    assert asking.word(key, replace(ASKED, method=key.secret, client=key.secret)) == "allow"
    lost = held_and_revoked(tenant)
    assert asking.word(lost, replace(ASKED, path=f"/orders/{lost.secret}")) == "key_revoked"
    found = everything(tenant)
    assert hidden not in found
    assert lost.secret[-49:] not in found
    for escaped in (quote(key.secret).replace("_", "%5f"), json.dumps(key.secret)):
        assert escaped not in found
    # Which key it was can still be seen.
    assert f"/orders/ks_live_{key.secret.split('_')[2]}_…" in found


def held_and_revoked(tenant: Tenant) -> Any:
    key = tenant.key(tenant.user("bob", entitlements=[{"value": "orders"}]), "orders")
    assert tenant.operator.post(f"/keys/{key.id}/revoke").status_code == 200
    return key
