"""Fills a running server with an entitlement, people who hold it, and their claimed keys."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import httpx2

USER = "urn:ietf:params:scim:schemas:core:2.0:User"
GROUP = "urn:ietf:params:scim:schemas:core:2.0:Group"
ENTITLEMENT = "urn:keysteward:scim:schemas:core:1.0:Entitlement"
PATCH = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
BULK = "urn:ietf:params:scim:api:messages:2.0:BulkRequest"


@dataclass(frozen=True)
class Holder:
    """A user and the secret of the user's key."""

    user_id: str
    user_name: str
    key_id: str
    secret: str


def entitlement(value: str, **policy: Any) -> dict[str, Any]:
    return {
        "schemas": [ENTITLEMENT],
        "value": value,
        "display": value,
        "keyPolicy": {"issuance": "automatic"},
        **policy,
    }


def create(scim: httpx2.Client, path: str, body: dict[str, Any]) -> dict[str, Any]:
    answer = scim.post(path, json=body)
    assert answer.status_code == 201, answer.text
    created: dict[str, Any] = answer.json()
    return created


def patch(scim: httpx2.Client, path: str, *operations: dict[str, Any]) -> httpx2.Response:
    return scim.patch(path, json={"schemas": [PATCH], "Operations": list(operations)})


def populate(scim: httpx2.Client, operator: httpx2.Client, count: int) -> list[Holder]:
    """Create users who hold one automatic entitlement, in one bulk request, and claim their keys."""
    create(scim, "/Entitlements", entitlement("orders-read", scopes=["orders.read"]))
    operations = [
        {
            "method": "POST",
            "path": "/Users",
            "bulkId": f"u{number}",
            "data": {
                "schemas": [USER],
                "userName": f"user{number}@example.com",
                "active": True,
                "entitlements": [{"value": "orders-read"}],
            },
        }
        for number in range(count)
    ]
    answer = scim.post("/Bulk", json={"schemas": [BULK], "Operations": operations})
    assert answer.status_code == 200, answer.text
    assert {each["status"] for each in answer.json()["Operations"]} == {"201"}
    listed = operator.get("/keys", params={"count": count})
    assert listed.status_code == 200, listed.text
    holders = []
    for key in listed.json()["Resources"]:
        claimed = operator.post(f"/keys/{key['id']}/claim")
        assert claimed.status_code == 200, claimed.text
        holders.append(
            Holder(key["consumer"]["value"], key["consumer"]["userName"], key["id"], claimed.json()["secret"])
        )
    assert len(holders) == count
    return holders
