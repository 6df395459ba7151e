"""Usage and decisions as JSON documents, the same from the face and from a command."""

from __future__ import annotations

from collections.abc import Sequence

from app.keys.decisions import Decision, Decisions
from app.keys.usage import DayUse, KeyUsage, NetworkSeen
from app.operator.views import Document, time


def usage_document(usage: KeyUsage) -> Document:
    """How a key is used, in short."""
    return {
        "key": usage.key_id,
        "consumer": {"value": usage.consumer_id, "userName": usage.user_name},
        "createdAt": time(usage.issued_at),
        "firstUsedAt": time(usage.first_at),
        "lastUsedAt": time(usage.last_at),
        "lastDeniedAt": time(usage.last_denied_at),
        "allowed": usage.allowed,
        "denied": usage.denied,
        "deadUses": usage.dead_uses,
        "lastNetwork": usage.last_network,
    }


def whole_usage_document(
    usage: KeyUsage, days: Sequence[DayUse], networks: Sequence[NetworkSeen]
) -> Document:
    """How a key is used: in short, by day, and from where."""
    return {
        **usage_document(usage),
        "days": [day_document(each) for each in days],
        "networks": [network_document(each) for each in networks],
    }


def day_document(day: DayUse) -> Document:
    """A day's uses of one outcome: all of them, or those that one entitlement satisfied."""
    return {
        "day": (time(day.at) or "")[:10],
        "outcome": day.outcome,
        "entitlement": None
        if day.entitlement_id is None
        else {"value": day.entitlement_id, "display": day.entitlement},
        "uses": day.uses,
    }


def network_document(seen: NetworkSeen) -> Document:
    return {
        "key": seen.key_id,
        "consumer": {"value": seen.consumer_id, "userName": seen.user_name},
        "network": seen.network,
        "firstAt": time(seen.first_at),
        "lastAt": time(seen.last_at),
        "uses": seen.uses,
    }


def decisions_document(decisions: Decisions) -> Document:
    """Some decisions, and where to go on."""
    return {
        "itemsPerPage": len(decisions.found),
        "after": decisions.after,
        "Resources": [decision_document(each) for each in decisions.found],
    }


def decision_document(decision: Decision) -> Document:
    record = decision.record
    return {
        "id": record["id"],
        "time": time(record["at"]),
        "face": record["face"],
        "actor": record["actor"],
        "outcome": "allow" if record["allowed"] else "deny",
        "reason": record["reason"],
        "key": record["key"],
        "secret": record["secret"],
        "consumer": record["consumer"],
        "entitlements": record["entitlements"],
        "method": record["method"],
        "path": record["path"],
        "client": record["client"],
        "microseconds": record["took"] / 1000,
        "batch": decision.batch_id,
    }
