"""Entitlements and what they are mapped to: their own value, roles, groups."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from app.directory import follow_ups
from app.directory.carriers import begin, end, holding
from app.directory.effects import issue_due, key_effects, revoke_orphans
from app.directory.errors import ConditionsInvalid, MemberUnknown, PolicyInvalid
from app.directory.follow_ups import follow_entitlement
from app.directory.withdrawals import MOST_ESTIMATED, estimate
from app.rights.chains import displays_of
from app.rights.conditions import canonical_conditions
from app.rights.conditions.invalid import ConditionInvalid
from app.rights.holders import count_holders
from app.store.batches import batches
from app.store.tables import consumer, entitlement, key, key_entitlement, mapping, resource
from app.store.unit_of_work import Unit

ENTITLEMENT_SCHEMA = "urn:keysteward:scim:schemas:core:1.0:Entitlement"

ASSIGNMENTS_USED = "totalAssignmentsUsed"
"""The attribute of an entitlement that is counted when it is asked for: how many consumers hold it."""

ISSUANCES = ("automatic", "manual")
LONGEST_LIFETIME = 2**31 - 1
"""The longest life that a key policy may give a key, in seconds: 68 years."""


@dataclass(frozen=True)
class EntitlementState:
    """What of an entitlement decides about keys; ``mappings``: (kind, value) pairs."""

    value: str
    audience: str | None
    scopes: tuple[str, ...]
    conditions: Mapping[str, Any]
    issuance: str
    key_lifetime: int | None
    mappings: frozenset[tuple[str, str]]

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> EntitlementState:
        """Read the state from an Entitlement document.

        Issuing is manual unless the policy says otherwise. An entitlement that is not ``supported`` is listed
        and grants nothing.

        :raises PolicyInvalid: when the key policy cannot be followed.
        :raises ConditionsInvalid: when a condition cannot be judged.
        """
        key_policy = document.get("keyPolicy") or {}
        issuance, seconds = key_policy.get("issuance") or "manual", key_policy.get("lifetimeSeconds")
        if issuance not in ISSUANCES:
            raise PolicyInvalid(f"keyPolicy.issuance is one of: {', '.join(ISSUANCES)}")
        if seconds is not None and not 0 < seconds <= LONGEST_LIFETIME:
            raise PolicyInvalid(f"keyPolicy.lifetimeSeconds is between 1 and {LONGEST_LIFETIME}")
        try:
            conditions = canonical_conditions(document.get("conditions") or {})
        except ConditionInvalid as error:
            raise ConditionsInvalid(f"conditions.{error}") from None
        named = {
            (kind, each["value"])
            for kind, attribute in (("role", "roles"), ("group", "groups"))
            for each in document.get(attribute) or []
            if each.get("value")
        }
        return cls(
            value=document["value"],
            audience=document.get("audience"),
            scopes=tuple(document.get("scopes") or ()),
            conditions=conditions,
            issuance=issuance,
            key_lifetime=None if seconds is None else seconds * 1_000_000,
            mappings=frozenset(
                () if document.get("supported") is False else named | {("direct", document["value"])}
            ),
        )


def assignments_used(unit: Unit, entitlement_ids: Collection[str]) -> dict[str, int]:
    """Return how many consumers hold each of some entitlements now."""
    return count_holders(unit, entitlement_ids)


@contextmanager
def following(unit: Unit, entitlement_id: str) -> Iterator[None]:
    """Enclose a change to one entitlement: the keys issued for it follow, and due keys are issued."""
    issued_for_it = key.c.id.in_(
        sa.select(key_entitlement.c.key_id).where(key_entitlement.c.entitlement_id == entitlement_id)
    )
    of_tenant = consumer.c.tenant_id == unit.tenant_id
    if _are_many(unit, key.c.id, issued_for_it & key.c.revoked_at.is_(None)):
        yield
        some = sa.select(key.c.id).where(issued_for_it & key.c.revoked_at.is_(None)).limit(MOST_ESTIMATED)
        estimate(unit, unit.execute(sa.select(sa.func.count()).select_from(some.subquery())).scalar_one())
        follow_entitlement(unit, entitlement_id)
        return
    with key_effects(unit, [issued_for_it], lambda: ()):
        yield
        revoke_orphans(unit, issued_for_it)
    if _issues_by_itself(unit, entitlement_id):
        # Who holds it is known at once of a few people only.
        if _are_many(unit, consumer.c.id, of_tenant):
            follow_entitlement(unit, entitlement_id)
        else:
            everyone = unit.execute(sa.select(consumer.c.id).where(of_tenant)).scalars().all()
            issue_due(unit, lambda: everyone, of=[entitlement_id])


def _are_many(unit: Unit, column: sa.Column[str], condition: sa.ColumnElement[bool]) -> bool:
    """Whether more rows meet a condition than a change itself sees to."""
    some = sa.select(column).where(condition).limit(follow_ups.MOST_AT_ONCE + 1).subquery()
    found: int = unit.execute(sa.select(sa.func.count()).select_from(some)).scalar_one()
    return found > follow_ups.MOST_AT_ONCE


def _issues_by_itself(unit: Unit, entitlement_id: str) -> bool:
    issuance = sa.select(entitlement.c.issuance).where(entitlement.c.id == entitlement_id)
    return unit.execute(issuance).scalar() == "automatic"


def assert_entitlement(unit: Unit, entitlement_id: str, state: EntitlementState) -> None:
    """Make the tables say what the entitlement's document says.

    :raises MemberUnknown: when a newly mapped group is no group of the tenant.
    """
    fields = {
        "value": state.value,
        "audience": state.audience,
        "scopes": list(state.scopes),
        "conditions": dict(state.conditions),
        "issuance": state.issuance,
        "key_lifetime": state.key_lifetime,
    }
    with following(unit, entitlement_id):
        changed = unit.execute(
            sa.update(entitlement)
            .where(entitlement.c.tenant_id == unit.tenant_id, entitlement.c.id == entitlement_id)
            .values(fields)
        )
        if not changed.rowcount:
            unit.execute(sa.insert(entitlement).values(id=entitlement_id, tenant_id=unit.tenant_id, **fields))
        _assert_mappings(unit, entitlement_id, state.mappings)


def forget_entitlement(unit: Unit, entitlement_id: str) -> None:
    """End the mappings of a deleted entitlement, and revoke the keys that have no other."""
    with following(unit, entitlement_id):
        end(unit, mapping, mapping.c.entitlement_id == entitlement_id)
        unit.execute(
            sa.delete(entitlement).where(
                entitlement.c.tenant_id == unit.tenant_id, entitlement.c.id == entitlement_id
            )
        )


def named_groups(unit: Unit, group_ids: Collection[str]) -> dict[str, str | None]:
    """Return the displayName of each of some groups that is there still.

    An entitlement's document may name groups that are gone, and one that is not ``supported`` names groups
    without being mapped to any.
    """
    found: dict[str, str | None] = {}
    for some in batches(sorted(group_ids)):
        found |= displays_of(unit, some)
    return found


def mapped_once(
    unit: Unit, groups: Sequence[dict[str, Any]], before: Sequence[dict[str, Any]]
) -> list[dict[str, Any]]:
    """Return the groups of an entitlement that are there, each once and without what is filled in when read.

    :param before: what was stored of them. A group's own name is no label of another group, where a PATCH
        changed the ``value`` beside it.
    """
    names = named_groups(unit, {each["value"] for each in (*groups, *before) if each.get("value")})
    filled_in = {names.get(each["value"]) for each in before if "display" not in each}
    labels = {each["value"]: each.get("display") for each in before}
    kept: dict[str, dict[str, Any]] = {}
    for group in groups:
        if (value := group.get("value")) in names:
            kept.setdefault(value, {"value": value})
            label = group.get("display")
            is_own = label == labels.get(value) or label not in filled_in
            if is_own and label not in (None, names[value]):
                kept[value]["display"] = label
    return list(kept.values())


def _assert_mappings(unit: Unit, entitlement_id: str, wanted: frozenset[tuple[str, str]]) -> None:
    present = {
        (row.kind, row.value)
        for row in unit.execute(
            sa.select(mapping.c.kind, mapping.c.value).where(
                holding(unit, mapping), mapping.c.entitlement_id == entitlement_id
            )
        )
    }
    added = sorted(wanted - present)
    for kind, value in added:
        if kind == "group" and not _is_group(unit, value):
            raise MemberUnknown(f"no group has the id {value[:100]!r}")
    for kind, value in sorted(present - wanted):
        end(
            unit,
            mapping,
            (mapping.c.entitlement_id == entitlement_id)
            & (mapping.c.kind == kind)
            & (mapping.c.value == value),
        )
    begin(
        unit,
        mapping,
        [{"entitlement_id": entitlement_id, "kind": kind, "value": value} for kind, value in added],
    )


def _is_group(unit: Unit, group_id: str) -> bool:
    statement = sa.select(resource.c.id).where(
        resource.c.tenant_id == unit.tenant_id, resource.c.type == "Group", resource.c.id == group_id
    )
    return unit.execute(statement).first() is not None
