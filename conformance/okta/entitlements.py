"""Entitlements and roles as Okta Identity Governance finds them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from conformance.company.journal import Deviates, Skipped, expect, expect_status
from conformance.okta.wire import Wire
from conformance.rfc.expectations import member_named

ENTITLEMENT: Final = "urn:okta:scim:schemas:core:1.0:Entitlement"
ROLE: Final = "urn:okta:scim:schemas:core:1.0:Role"

_PAGE: Final = 100


@dataclass(frozen=True)
class Catalogue:
    """What can be assigned: each value with what Okta writes into the user for it."""

    entitlements: dict[str, dict[str, Any]]
    """By id; empty when the server has none."""

    roles: dict[str, dict[str, Any]]


NOTHING: Final = Catalogue({}, {})


def discover(wire: Wire) -> Catalogue:
    """Return what the server offers for assignment.

    :raises Skipped: when it has no type of one of Okta's schemas, or nothing in it.
    :raises Deviates: when the types or their lists cannot be used.
    """
    answer = wire.get("ResourceTypes")
    if answer.status != 200:
        raise Skipped(f"/ResourceTypes answers {answer.status}")
    found: dict[str, dict[str, dict[str, Any]]] = {ENTITLEMENT: {}, ROLE: {}}
    served = [each for each in answer.resources if str(each.get("schema")) in found]
    if not served:
        raise Skipped("/ResourceTypes lists no type with a schema of Okta's for entitlements or roles")
    expect_status(wire.get("Schemas"), 200)
    for resource_type in served:
        endpoint = str(resource_type.get("endpoint") or "").strip("/")
        schema = str(resource_type["schema"])
        name = str(resource_type.get("name"))
        for each in _read(wire, endpoint):
            identity = _required(each, "id", endpoint)
            entry = {"value": identity, "display": _required(each, "displayName", endpoint)}
            if schema == ENTITLEMENT:
                kind = _required(each, "type", endpoint)
                expect(kind == name, f"/{endpoint}/{identity} is of type {kind!r}, not {name!r}")
                entry["type"] = kind
            found[schema][identity] = entry
    if not any(found.values()):
        raise Skipped("the server has types for entitlements or roles, and nothing in them")
    return Catalogue(found[ENTITLEMENT], found[ROLE])


def _read(wire: Wire, endpoint: str) -> list[dict[str, Any]]:
    first = wire.get(endpoint, count=1, startIndex=1)
    expect_status(first, 200)
    total = first.document.get("totalResults")
    if not isinstance(total, int):
        raise Deviates(f"/{endpoint} has no totalResults")
    size = first.document.get("itemsPerPage")
    expect(total == 0 or size == 1, f"/{endpoint}?count=1&startIndex=1 says itemsPerPage {size!r}, not 1")
    expect(len(first.resources) == min(total, 1), f"/{endpoint}?count=1 returns {len(first.resources)}")
    found: list[dict[str, Any]] = []
    while len(found) < total:
        page = wire.get(endpoint, count=_PAGE, startIndex=len(found) + 1)
        expect_status(page, 200)
        expect(page.resources, f"/{endpoint} ends after {len(found)} of {total}")
        found += page.resources
    return found


def _required(document: dict[str, Any], name: str, endpoint: str) -> str:
    value = member_named(document, name)
    if not isinstance(value, str) or not value:
        raise Deviates(f"a resource of /{endpoint} has no {name}")
    return value
