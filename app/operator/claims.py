"""Handing secrets out by an operator: itself, encrypted to a machine, or by a link."""

from __future__ import annotations

from app.claiming.handover import require_claimable
from app.keys.claims import DEFAULT_LIFETIME, ClaimLink, make_link
from app.keys.idempotency import Answered
from app.keys.lifecycle import Minting
from app.keys.recipients import Recipient
from app.operator.keys import claim_key
from app.store.unit_of_work import Unit


def claim_answer(unit: Unit, key_id: str, minting: Minting, recipient: Recipient | None) -> Answered:
    """Claim a key; the answer's secret is the key's or, with a recipient, the JWE that holds it.

    :raises KeyUnknown: when the tenant has no such key.
    :raises KeyNotClaimable: when it was claimed before, or is dormant, revoked or expired.
    """
    if recipient is None:
        return Answered(200, {"id": key_id}, claim_key(unit, key_id, minting).text)
    secret = claim_key(unit, key_id, minting, recipient=recipient.thumbprint)
    return Answered(
        200,
        {"id": key_id, "recipient": recipient.thumbprint},
        recipient.seal({"id": key_id, "secret": secret.text}),
    )


def make_claim_link(
    unit: Unit, key_id: str, minting: Minting, *, lifetime: int = DEFAULT_LIFETIME
) -> tuple[ClaimLink, str]:
    """Make a link that hands a key's secret out, once; return it and its token. Older links for it end.

    :param lifetime: in microseconds, up to 7 days.
    :raises KeyUnknown: when the tenant has no such key.
    :raises KeyNotClaimable: when it was claimed before, or is dormant, revoked or expired.
    """
    require_claimable(unit, key_id)
    return make_link(unit, minting.peppers, key_id, lifetime=lifetime)
