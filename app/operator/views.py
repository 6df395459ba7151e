"""What programs read: each thing as a JSON document, the same from the face and from a command.

Times are RFC 3339; what is not known or does not apply is null, so that every document has all its members.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import Any, Final, TypeVar

from app.access.connections import Connection
from app.access.credentials import Credential
from app.access.deviations import DeviationCount
from app.access.tenants import Tenant
from app.access.warnings import Warned
from app.directory.brakes import Brake, Whereabouts
from app.directory.follow_ups import FollowUp
from app.keys.rotation import Rotation
from app.ledger.events import RecordedEvent
from app.operator.consumers import ConsumerView
from app.operator.key_schema import KEY_SCHEMA
from app.operator.key_search import KeyPage
from app.operator.keys import KeyView
from app.operator.pages import Page
from app.operator.receipts import ConsumerReceipt, Receipt
from app.rights.broken import Broken
from app.rights.consumers import ConsumerStanding
from app.rights.explain import (
    ConsumerExplanation,
    EntitlementNamed,
    Explanation,
    GrantExplained,
    RightExplained,
    Way,
)
from app.rights.standing import Standing
from app.rights.unmatched import UnmatchedValue
from app.store.moments import rfc3339

Document = dict[str, Any]
Item = TypeVar("Item")

LIST_RESPONSE: Final = "urn:ietf:params:scim:api:messages:2.0:ListResponse"

SHOWN_CONSUMERS = 100
"""How many consumers of one unmatched value are named."""


def time(moment: int | None) -> str | None:
    """Return a time as text; None stays None."""
    return None if moment is None else rfc3339(moment)


def list_document(page: Page[Item], view: Callable[[Item], Document]) -> Document:
    """Return a page as a list response (RFC 7644 §3.4.2)."""
    return {
        "schemas": [LIST_RESPONSE],
        "totalResults": page.total,
        "startIndex": page.start,
        "itemsPerPage": len(page.items),
        "Resources": [view(item) for item in page.items],
    }


def whole(items: Iterable[Item]) -> Page[Item]:
    """Return items that are few enough to be one page."""
    found = tuple(items)
    return Page(len(found), 1, found)


def key_document(key: KeyView) -> Document:
    return {
        "schemas": [KEY_SCHEMA],
        "id": key.id,
        "state": str(key.state),
        "consumer": {"value": key.consumer_id, "userName": key.user_name},
        "entitlements": [{"value": each.id, "display": each.value} for each in key.entitlements],
        "createdAt": time(key.issued_at),
        "claimedAt": time(key.claimed_at),
        "expiresAt": time(key.expires_at),
        "lastUsedAt": time(key.last_used_at),
        "revokedAt": time(key.revoked_at),
        "reason": key.reason,
        "meta": {
            "resourceType": "Key",
            "created": time(key.issued_at),
            "lastModified": time(key.changed_at),
            "location": f"/operator/v1/keys/{key.id}",
            "version": key.version,
        },
    }


def key_page_document(page: KeyPage, view: Callable[[KeyView], Document], cursor: str | None) -> Document:
    """Return a page by cursor as a list response (RFC 9865 §2.2); the last page has no ``nextCursor``."""
    return {
        "schemas": [LIST_RESPONSE],
        **({} if page.total is None else {"totalResults": page.total}),
        "itemsPerPage": len(page.items),
        **({} if cursor is None else {"nextCursor": cursor}),
        "Resources": [view(each) for each in page.items],
    }


def rotation_document(key_id: str, rotation: Rotation) -> Document:
    """What a rotation did, without the new secret."""
    return {"id": key_id, "replaced": {"secret": rotation.replaced, "endsAt": time(rotation.ends_at)}}


def receipt_document(receipt: Receipt) -> Document:
    """Since when a key is withdrawn, by what, and the secrets that this is true of."""
    cause = receipt.cause
    happened = None if cause is None else cause.event
    return {
        "key": receipt.key.id,
        "consumer": {"value": receipt.key.consumer_id, "userName": receipt.key.user_name},
        "state": str(receipt.key.state),
        "at": time(receipt.at),
        "withdrawnAt": None if cause is None else time(cause.since),
        "cause": None
        if cause is None
        else {
            "reason": cause.code,
            "detail": cause.detail,
            "event": None if happened is None else happened.type,
            "actor": None if happened is None else happened.actor,
            "txn": None if happened is None else happened.txn,
        },
        "ledger": None
        if happened is None
        else {"event": happened.id, "sequence": happened.sequence, "time": time(happened.time)},
        "secrets": [
            {
                "id": each.id,
                "createdAt": time(each.created_at),
                "endsAt": time(each.ends_at),
                "endedAt": time(each.ended_at),
                "deniedSince": time(each.denied_since),
            }
            for each in receipt.secrets
        ],
    }


def consumer_receipt_document(receipt: ConsumerReceipt) -> Document:
    return {
        "consumer": consumer_document(receipt.consumer),
        "at": time(receipt.at),
        "keys": [receipt_document(each) for each in receipt.keys],
    }


def consumer_document(consumer: ConsumerView | ConsumerStanding) -> Document:
    return {
        "id": consumer.id,
        "userName": consumer.user_name,
        "active": consumer.active,
        "accessStartsAt": time(consumer.access_starts_at),
        "accessEndsAt": time(consumer.access_ends_at),
        "deletedAt": time(consumer.deleted_at),
    }


def event_document(event: RecordedEvent) -> Document:
    return {
        "sequence": event.sequence,
        "id": event.id,
        "time": time(event.time),
        "type": event.type,
        "actor": event.actor,
        "txn": event.txn,
        "subject": event.subject,
        "data": event.data,
    }


def connection_document(connection: Connection, warned: Collection[Warned] = ()) -> Document:
    """Return a connection as it is shown, with those warnings that are about it."""
    cycle = connection.usual_cycle
    of_it = [each for each in warned if each.connection_id == connection.id]
    return {
        "id": connection.id,
        "name": connection.name,
        "dialect": connection.dialect,
        "createdAt": time(connection.created_at),
        "disabledAt": time(connection.disabled_at),
        "lastCallAt": time(connection.last_call_at),
        "brake": {
            "percent": connection.brake.percent,
            "minimum": connection.brake.minimum,
            "withinSeconds": connection.brake.span // 1_000_000,
        },
        "usualCycleSeconds": None if cycle is None else cycle // 1_000_000,
        "silent": any(each.kind == "connection_silent" for each in of_it),
        "warnings": [warning_document(each) for each in of_it],
    }


def warning_document(warned: Warned) -> Document:
    return {
        "kind": warned.kind,
        "connection": warned.connection_id,
        "name": warned.connection_name,
        "text": warned.text,
        "since": None if warned.is_ahead else time(warned.at),
        "expiresAt": time(warned.at) if warned.is_ahead else None,
    }


def brake_document(brake: Brake) -> Document:
    return {
        "id": brake.id,
        "connection": brake.connection_id,
        "name": brake.connection_name,
        "engagedAt": time(brake.engaged_at),
        "activeConsumers": brake.active,
        "threshold": brake.threshold,
        "consumers": brake.people,
        "uncounted": brake.uncounted,
        "decision": brake.decision,
        "decidedAt": time(brake.decided_at),
        "holdsUntil": time(brake.holds_until),
    }


def whole_brake_document(brake: Brake, found: Whereabouts | None) -> Document:
    """Return a brake, and what became of its people; null where they are too many to be looked at."""
    return {
        **brake_document(brake),
        "waiting": None if found is None else found.waiting,
        "back": None if found is None else found.back,
        "deleted": None if found is None else found.deleted,
    }


def deviation_document(counted: DeviationCount) -> Document:
    return {
        "connection": counted.connection_id,
        "deviation": counted.deviation,
        "requests": counted.requests,
        "firstAt": time(counted.first_at),
        "lastAt": time(counted.last_at),
    }


def follow_up_document(left: FollowUp) -> Document:
    return {
        "id": left.id,
        "kind": left.kind,
        "of": {"txn": left.txn, "actor": left.actor, "time": time(left.moment)},
        "done": left.done,
        "total": left.total,
        "finishedAt": time(left.finished_at),
    }


def token_document(credential: Credential, token: str) -> Document:
    """The one document with a token: it is shown once."""
    return {
        "id": credential.id,
        "connection": credential.connection_id,
        "token": token,
        "expiresAt": time(credential.expires_at),
    }


def tenant_document(tenant: Tenant) -> Document:
    return {
        "id": tenant.id,
        "name": tenant.name,
        "createdAt": time(tenant.created_at),
        "recoveryWindowSeconds": tenant.recovery_window // 1_000_000,
        "unmatchedValues": tenant.unmatched_values,
        "sponsorPolicy": tenant.sponsor_policy,
    }


def unmatched_document(unmatched: UnmatchedValue) -> Document:
    """Of many consumers, the first are named; ``consumers`` counts them all."""
    return {
        "kind": unmatched.kind,
        "value": unmatched.value,
        "consumers": len(unmatched.consumers),
        "consumerIds": list(unmatched.consumers[:SHOWN_CONSUMERS]),
    }


def explanation_document(explanation: Explanation) -> Document:
    key = explanation.key
    return {
        "summary": explanation.summary,
        "broken": _broken(explanation.broken),
        "key": {
            "id": key.key_id,
            "state": str(key.state),
            "reason": key.reason,
            "createdAt": time(explanation.issued_at),
            "claimedAt": time(explanation.claimed_at),
            "expiresAt": time(explanation.expires_at),
            "revokedAt": time(explanation.revoked_at),
        },
        "consumer": _standing(explanation.consumer),
        "entitlements": [_right(right) for right in explanation.rights],
    }


def consumer_explanation_document(explanation: ConsumerExplanation) -> Document:
    return {
        "broken": _broken(explanation.broken),
        "consumer": _standing(explanation.consumer),
        "grants": [_grant(grant) for grant in explanation.grants],
        "unmatchedValues": [{"kind": each.kind, "value": each.value} for each in explanation.unmatched],
        "keys": [_key_standing(key) for key in explanation.keys],
    }


def _standing(consumer: ConsumerStanding) -> Document:
    return {
        **consumer_document(consumer),
        "presentSince": time(consumer.present_since),
        "awaySince": time(consumer.away_since),
    }


def _key_standing(key: Standing) -> Document:
    return {
        "id": key.key_id,
        "state": str(key.state),
        "reason": key.reason,
        "entitlements": sorted(key.entitlements),
        "rights": sorted(key.rights),
    }


def _named(entitlement: EntitlementNamed) -> Document:
    return {
        "id": entitlement.id,
        "value": entitlement.value,
        "audience": entitlement.audience,
        "scopes": list(entitlement.scopes),
        "conditions": dict(entitlement.conditions_said),
    }


def _grant(grant: GrantExplained) -> Document:
    return {
        **_named(grant.entitlement),
        "since": time(grant.since),
        "paths": [_way(way) for way in grant.ways],
    }


def _right(right: RightExplained) -> Document:
    return {
        **_named(right.entitlement),
        "held": right.grant is not None,
        "counts": right.counts,
        "since": time(right.grant.since) if right.grant else None,
        "paths": [_way(way) for way in right.grant.ways] if right.grant else [],
        "broken": _broken(right.broken),
    }


def _way(way: Way) -> Document:
    return {
        "reason": way.reason,
        "via": way.via,
        "since": time(way.since),
        "groups": [{"value": group.id, "display": group.display} for group in way.groups],
    }


def _broken(broken: Broken | None) -> Document | None:
    if broken is None:
        return None
    return {"code": broken.code, "detail": broken.detail, "since": time(broken.since)}
