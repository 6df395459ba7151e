"""Handing a secret over. Every way to claim ends here: readable once, by one, and the reading is an event."""

from __future__ import annotations

from app.keys.lifecycle import BY_OPERATOR, KeyClaimed, KeyNotClaimable, KeyUnknown, Minting, claim
from app.rights.standing import KeyState, standings
from app.store.secrets import Secret
from app.store.tables import key
from app.store.unit_of_work import Unit


def require_claimable(unit: Unit, key_id: str) -> None:
    """Return if a key can be claimed now.

    :raises KeyUnknown: when the tenant has no such key.
    :raises KeyClaimed: when it was claimed before.
    :raises KeyNotClaimable: when it is dormant, revoked or expired.
    """
    standing = standings(unit, key.c.id == key_id).get(key_id)
    if standing is None:
        raise KeyUnknown(key_id)
    match standing.state:
        case KeyState.active:
            raise KeyClaimed("the key was claimed already; its secret is shown only once")
        case KeyState.dormant:
            raise KeyNotClaimable("the key is dormant: its consumer does not hold what it is for now")
        case KeyState.revoked | KeyState.expired:
            raise KeyNotClaimable(f"the key is {standing.state}")


def hand_over(
    unit: Unit, key_id: str, minting: Minting, *, by: str = BY_OPERATOR, recipient: str | None = None
) -> Secret:
    """Make a key's secret and return it, this once. A key without a right now gets none.

    :param by: the way in which it is handed over.
    :param recipient: the thumbprint of the public key that it will be encrypted to, if it will.
    :raises KeyUnknown: when the tenant has no such key.
    :raises KeyNotClaimable: when it was claimed before, or is dormant, revoked or expired.
    """
    require_claimable(unit, key_id)
    return claim(unit, key_id, minting, by=by, recipient=recipient)
