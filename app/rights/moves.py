"""What became of grants and keys between two moments: pure comparison of what held before and holds after."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from app.rights.grants import Grant
from app.rights.standing import KeyState, Standing

_FINAL = (KeyState.revoked, KeyState.expired)


class KeyChange(StrEnum):
    """What becomes of a key.

    ``narrowed``: it works on, for fewer of its entitlements; ``widened``: it works again for more of them.
    """

    issued = "issued"
    dormant = "dormant"
    restored = "restored"
    revoked = "revoked"
    expired = "expired"
    narrowed = "narrowed"
    widened = "widened"


@dataclass(frozen=True)
class KeyMove:
    """A key that stands otherwise than before; ``before`` is None for one that is issued in between."""

    change: KeyChange
    before: Standing | None
    after: Standing


@dataclass(frozen=True)
class GrantMoves:
    """The grants that come, with the reasons they then have, and those that go, with those they had."""

    gained: tuple[Grant, ...]
    lost: tuple[Grant, ...]


def grant_moves(before: Iterable[Grant], after: Iterable[Grant]) -> GrantMoves:
    """Return the grants that come and those that go; one that stays for other reasons is neither."""
    had = {(each.consumer_id, each.entitlement_id): each for each in before}
    has = {(each.consumer_id, each.entitlement_id): each for each in after}
    return GrantMoves(
        tuple(has[pair] for pair in sorted(has.keys() - had.keys())),
        tuple(had[pair] for pair in sorted(had.keys() - has.keys())),
    )


def key_moves(before: Mapping[str, Standing], after: Mapping[str, Standing]) -> Iterator[KeyMove]:
    """Yield the keys that stand otherwise than before, in the order of ``after``."""
    for key_id, standing in after.items():
        stood = before.get(key_id)
        change = _change(stood, standing)
        if change is not None:
            yield KeyMove(change, stood, standing)


def _change(before: Standing | None, after: Standing) -> KeyChange | None:
    if before is None:
        return KeyChange.issued
    if before.state in _FINAL:
        return None
    if after.state in _FINAL or (after.state is KeyState.dormant and before.state is not KeyState.dormant):
        return KeyChange(after.state)
    if before.state is KeyState.dormant and after.state is not KeyState.dormant:
        return KeyChange.restored
    if before.rights - after.rights:
        return KeyChange.narrowed
    return KeyChange.widened if after.rights - before.rights else None
