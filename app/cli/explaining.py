"""Explanations as trees, for people."""

from __future__ import annotations

import json

from rich.tree import Tree

from app.cli.printing import plain, show, time
from app.rights.consumers import ConsumerStanding
from app.rights.explain import (
    ConsumerExplanation,
    EntitlementNamed,
    Explanation,
    GrantExplained,
    RightExplained,
    Way,
)
from app.rights.standing import KeyState


def show_key(explanation: Explanation) -> None:
    """Print the chain from a key to its rights."""
    key = explanation.key
    ended = f" ({key.reason})" if key.state is KeyState.revoked and key.reason else ""
    tree = Tree(plain(f"key {key.key_id}: {key.state}{ended}"))
    tree.add(plain(_life(explanation)))
    holder = tree.add(plain(_holder(explanation.consumer)))
    for right in explanation.rights:
        _add_right(holder, right)
    show(tree)
    show(plain(explanation.summary))


def show_consumer(explanation: ConsumerExplanation) -> None:
    """Print what a consumer holds, what it carries in vain, and its keys."""
    tree = Tree(plain(_holder(explanation.consumer)))
    if explanation.broken is not None:
        tree.add(plain(f"holds nothing: {explanation.broken.detail}"))
    for grant in explanation.grants:
        _add_grant(tree, grant, "holds ")
    for value in explanation.unmatched:
        attribute = "entitlements" if value.kind == "direct" else "roles"
        tree.add(
            plain(f"carries {value.value!r} in {attribute}, which names no entitlement: it grants nothing")
        )
    for key in explanation.keys:
        tree.add(plain(f"key {key.key_id}: {key.state}" + (f" ({key.reason})" if key.reason else "")))
    show(tree)


def _life(explanation: Explanation) -> str:
    times = (
        ("issued", explanation.issued_at),
        ("claimed", explanation.claimed_at),
        ("expires", explanation.expires_at),
        ("revoked", explanation.revoked_at),
    )
    return ", ".join(f"{word} {time(moment)}" for word, moment in times if moment is not None)


def _holder(consumer: ConsumerStanding) -> str:
    if consumer.deleted_at is not None:
        stands = f"deleted {time(consumer.deleted_at)}"
    elif consumer.present_since is not None:
        stands = f"active since {time(consumer.present_since)}"
    else:
        stands = f"not active{f' since {time(consumer.away_since)}' if consumer.away_since else ''}"
    window = (("access starts", consumer.access_starts_at), ("access ends", consumer.access_ends_at))
    told = [stands, *(f"{word} {time(moment)}" for word, moment in window if moment is not None)]
    return f"user {consumer.user_name} ({consumer.id}): {', '.join(told)}"


def _add_right(tree: Tree, right: RightExplained) -> None:
    if right.grant is not None:
        branch = _add_grant(tree, right.grant, "")
    else:
        branch = tree.add(plain(f"{_entitlement(right.entitlement)}: not held"))
    if right.broken is not None:
        branch.add(plain(f"broken: {right.broken.detail}"))


def _add_grant(tree: Tree, grant: GrantExplained, verb: str) -> Tree:
    branch = tree.add(plain(f"{verb}{_entitlement(grant.entitlement)}: held since {time(grant.since)}"))
    for way in grant.ways:
        branch.add(plain(f"{_way(way)}, since {time(way.since)}"))
    return branch


def _entitlement(entitlement: EntitlementNamed) -> str:
    if entitlement.value is None:
        return f"entitlement {entitlement.id}, deleted"
    particulars = [f"audience {entitlement.audience}"] if entitlement.audience else []
    if entitlement.scopes:
        particulars.append(f"scopes {' '.join(entitlement.scopes)}")
    if entitlement.conditions_said:
        particulars.append(f"conditions {json.dumps(entitlement.conditions_said, ensure_ascii=False)}")
    told = ", ".join(particulars)
    return f"{entitlement.value} ({told})" if told else entitlement.value


def _way(way: Way) -> str:
    match way.reason:
        case "direct":
            return f"by the value {way.via!r} of entitlements"
        case "role":
            return f"by the role {way.via!r}"
        case _:
            named = [f"{group.display or '(no name)'} ({group.id})" for group in way.groups]
            return f"by the group {' in '.join(named)}"
