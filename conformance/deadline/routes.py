"""Every way to withdraw a key, and what has to be there before it can be walked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Final

from conformance.deadline.server import Server
from conformance.exchange import Answer

CONSUMER: Final = "urn:keysteward:scim:schemas:extension:1.0:Consumer"
USER: Final = "urn:ietf:params:scim:schemas:core:2.0:User"


class Way(Enum):
    """On which way the right reaches the user."""

    DIRECT = "a value of the user's entitlements"
    OWN_ENTITLEMENT = "a value of the user's entitlements, of an entitlement that nobody else has"
    ROLE = "a role"
    GROUP = "a group that many are in"
    OWN_GROUP = "a group that nobody else is in"


@dataclass(frozen=True)
class Holder:
    """A user, the key that is to be withdrawn, and by what the user has the right to it.

    ``group_id`` and ``entitlement_id`` are empty where the way leads over none of the user's own.
    """

    number: int
    user_id: str
    user_name: str
    value: str
    group_id: str
    entitlement_id: str
    key_id: str
    secret: str


@dataclass(frozen=True)
class Route:
    """One way to withdraw a key: one request, whose success means that the key is dead."""

    name: str
    way: Way
    withdraw: Callable[[Server, Holder], Answer]


def _patch_without_path(server: Server, holder: Holder) -> Answer:
    return server.scim.patch(f"Users/{holder.user_id}", {"op": "replace", "value": {"active": False}})


def _patch_text_false(server: Server, holder: Holder) -> Answer:
    operation = {"op": "Replace", "path": "active", "value": "False"}
    return server.scim.patch(f"Users/{holder.user_id}", operation)


def _put(server: Server, holder: Holder) -> Answer:
    body = {
        "schemas": [USER],
        "userName": holder.user_name,
        "active": False,
        "entitlements": [{"value": holder.value}],
    }
    return server.scim.put(f"Users/{holder.user_id}", body)


def _delete(server: Server, holder: Holder) -> Answer:
    return server.scim.delete(f"Users/{holder.user_id}")


def _member_removed(server: Server, holder: Holder) -> Answer:
    operation = {"op": "remove", "path": f'members[value eq "{holder.user_id}"]'}
    return server.scim.patch(f"Groups/{holder.group_id}", operation)


def _group_deleted(server: Server, holder: Holder) -> Answer:
    return server.scim.delete(f"Groups/{holder.group_id}")


def _role_replaced(server: Server, holder: Holder) -> Answer:
    operation = {"op": "replace", "path": "roles", "value": [{"value": f"{holder.user_name}-other"}]}
    return server.scim.patch(f"Users/{holder.user_id}", operation)


def _entitlement_removed(server: Server, holder: Holder) -> Answer:
    operation = {"op": "remove", "path": f'entitlements[value eq "{holder.value}"]'}
    return server.scim.patch(f"Users/{holder.user_id}", operation)


def _entitlement_deleted(server: Server, holder: Holder) -> Answer:
    return server.scim.delete(f"Entitlements/{holder.entitlement_id}")


def _access_ended(server: Server, holder: Holder) -> Answer:
    # Long enough ago that the server's clock may differ from this one.
    ended = (datetime.now(UTC) - timedelta(hours=1)).isoformat(timespec="seconds")
    operation = {"op": "add", "path": f"{CONSUMER}:accessEndsAt", "value": ended}
    return server.scim.patch(f"Users/{holder.user_id}", operation)


def _revoked(server: Server, holder: Holder) -> Answer:
    return server.act(f"keys/{holder.key_id}/revoke")


def _rotated_at_once(server: Server, holder: Holder) -> Answer:
    return server.act(f"keys/{holder.key_id}/rotate", {"overlapSeconds": 0})


ROUTES: Final = (
    Route("patch-without-path", Way.DIRECT, _patch_without_path),
    Route("patch-text-false", Way.DIRECT, _patch_text_false),
    Route("put", Way.DIRECT, _put),
    Route("delete", Way.DIRECT, _delete),
    Route("member-removed", Way.GROUP, _member_removed),
    Route("group-deleted", Way.OWN_GROUP, _group_deleted),
    Route("role-replaced", Way.ROLE, _role_replaced),
    Route("entitlement-removed", Way.DIRECT, _entitlement_removed),
    Route("entitlement-deleted", Way.OWN_ENTITLEMENT, _entitlement_deleted),
    Route("access-ended", Way.DIRECT, _access_ended),
    Route("revoked", Way.DIRECT, _revoked),
    Route("rotated-at-once", Way.DIRECT, _rotated_at_once),
)
