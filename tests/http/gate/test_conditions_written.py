"""What cannot be judged is refused when it is written, with what to write instead."""

from __future__ import annotations

from typing import Any

from tests.http.conftest import Tenant
from tests.http.gate.faces import PERMIT

REFUSED: list[tuple[dict[str, Any], str]] = [
    (
        {"networks": ["192.0.2.5/24"]},
        "networks: '192.0.2.5/24' is an address in a network: write 192.0.2.0/24",
    ),
    (
        {"windows": ["Mon 8-18"]},
        "windows: 'Mon 8-18' is no window: write Mon-Fri 08:00-18:00 Europe/Berlin",
    ),
    ({"windows": ["Mon 08:00-18:00 Europe/Berlim"]}, "did you mean Europe/Berlin?"),
    (
        {"notBefore": "tomorrow"},
        "notBefore: 'tomorrow' is no date and time with its zone: write 2026-11-30T",
    ),
    ({"notAfter": "2026-11-30T17:00:00"}, "write 2026-11-30T17:00:00Z"),
    ({"rate": "fast"}, "rate: 'fast' is no rate: write 100/60s or 100/60s burst 20"),
    ({"quota": "10/week UTC"}, "quota: '10/week UTC' is no quota: write 1000/day UTC or"),
    ({"properties": ["status=active"]}, "write resource.<name>=<value> or action.<name>!=<value>"),
    ({"cedar": f"{PERMIT} when {{ resource has path }};"}, "leave that out, what is unknown denies"),
    (
        {"cedar": f"{PERMIT} when {{ principal.shoe == 1 }};"},
        "it does not fit the schema in docs/conditions.md",
    ),
    ({"cedar": "forbid (principal, action, resource);"}, "write at least one permit (…);"),
]


def test_what_cannot_be_judged_is_refused_with_what_to_write(tenant: Tenant) -> None:
    identifier = tenant.entitlement("orders", conditions={"methods": ["GET"]})
    path = f"/Entitlements/{identifier}"
    before = tenant.read(path)
    for conditions, told in REFUSED:
        (name, value), *_ = conditions.items()
        for refused in (
            tenant.scim.post("/Entitlements", {**before, "value": "bills", "conditions": conditions}),
            tenant.scim.put(path, {**before, "conditions": conditions}),
            tenant.scim.patch(path, {"op": "replace", "path": f"conditions.{name}", "value": value}),
            tenant.scim.patch(path, {"op": "add", "value": {"conditions": conditions}}),
        ):
            error = refused.get_json()
            assert (refused.status_code, error.get("scimType")) == (400, "invalidValue"), error
            assert told in error["detail"]
    assert tenant.read(path) == before
    assert tenant.scim.get("/Entitlements").get_json()["totalResults"] == 1


def test_a_condition_of_no_known_name_is_refused_rather_than_ignored(tenant: Tenant) -> None:
    identifier = tenant.entitlement("orders", conditions={"methods": ["GET"]})
    path = f"/Entitlements/{identifier}"
    before = tenant.read(path)
    mistaken = {"network": ["192.0.2.0/24"]}
    urn = before["schemas"][0]
    for refused in (
        tenant.scim.post("/Entitlements", {**before, "value": "bills", "conditions": mistaken}),
        tenant.scim.put(path, {**before, "conditions": mistaken}),
        tenant.scim.patch(path, {"op": "add", "value": {"conditions": mistaken}}),
        tenant.scim.patch(path, {"op": "add", "path": "conditions", "value": mistaken}),
        tenant.scim.patch(path, {"op": "add", "path": "conditions.network", "value": ["192.0.2.0/24"]}),
        tenant.scim.patch(
            path, {"op": "add", "path": f"{urn}:conditions.network", "value": ["192.0.2.0/24"]}
        ),
        tenant.scim.patch(path, {"op": "add", "value": {"Conditions.network": ["192.0.2.0/24"]}}),
    ):
        error = refused.get_json()
        assert (refused.status_code, error.get("scimType")) == (400, "invalidValue"), error
        assert "network is no condition: there are methods, paths" in error["detail"]
    assert tenant.read(path) == before
    assert tenant.scim.patch(path, {"op": "remove", "path": "conditions.network"}).status_code < 500
    assert tenant.read(path)["conditions"] == before["conditions"]
