"""What a plan says: what requests of an identity provider would do to grants and keys."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from app.rights.moves import KeyChange


class Answer(Protocol):
    """What a request would be answered; ``operations`` are the answers to those of a Bulk request."""

    @property
    def status(self) -> int: ...
    @property
    def scim_type(self) -> str | None: ...
    @property
    def detail(self) -> str | None: ...
    @property
    def tolerated(self) -> tuple[str, ...]: ...
    @property
    def operations(self) -> Sequence[Answer]: ...


@dataclass(frozen=True)
class ScimRequest:
    """A request as an identity provider would send it; the path is below the root of its face."""

    method: str
    path: str
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Named:
    """A thing and what people call it; one that the plan itself makes has no id yet."""

    id: str | None
    name: str | None


@dataclass(frozen=True)
class Why:
    """Why a grant is there: ``direct``, ``role`` or ``group``, and the value or the group."""

    reason: str
    via: Named


@dataclass(frozen=True)
class PlannedGrant:
    """A grant that would come or go, with the reasons it would then have, or has now."""

    consumer: Named
    entitlement: Named
    reasons: tuple[Why, ...]


@dataclass(frozen=True)
class PlannedKey:
    """What would become of a key; ``id`` and ``before`` are None for one that would be issued.

    ``lost`` and ``gained``: the entitlements it would stop and start counting for.
    """

    id: str | None
    consumer: Named
    change: KeyChange
    before: str | None
    after: str
    reason: str | None
    entitlements: tuple[Named, ...]
    lost: tuple[Named, ...]
    gained: tuple[Named, ...]


@dataclass(frozen=True)
class PlannedEvent:
    """An event that would be written; ``request`` is the place of the request it comes from, from 1."""

    request: int
    type: str
    subject: str
    data: Mapping[str, Any]


@dataclass(frozen=True)
class Planned:
    """A request and what it would be answered."""

    request: ScimRequest
    answer: Answer


@dataclass(frozen=True)
class Totals:
    """How much would change: consumers touched, grants, keys by what becomes of them, events by type."""

    refused: int
    consumers: int
    gained: int
    lost: int
    keys: Mapping[KeyChange, int]
    events: Mapping[str, int]


@dataclass(frozen=True)
class Plan:
    """What some requests would do as of a moment (microseconds).

    ``totals`` counts everything; the lists hold no more than was asked to be shown.
    """

    moment: int
    requests: tuple[Planned, ...]
    totals: Totals
    gained: tuple[PlannedGrant, ...]
    lost: tuple[PlannedGrant, ...]
    keys: tuple[PlannedKey, ...]
    events: tuple[PlannedEvent, ...]
