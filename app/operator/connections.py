"""Connections with the tokens that an administrator pastes into an identity provider."""

from __future__ import annotations

from collections.abc import Collection

import sqlalchemy as sa

from app.access.connections import Connection, create_connection, get_connection
from app.access.credentials import (
    DEFAULT_OVERLAP,
    Credential,
    issue_credential,
    list_credentials,
    revoke_credential,
    rotate_credential,
)
from app.access.errors import ConnectionDisabled
from app.ledger.events import Event, record
from app.operator.errors import RequestInvalid
from app.store.peppers import Peppers
from app.store.tables import credential
from app.store.unit_of_work import Unit

LABEL = "identity provider"


def open_connection(
    unit: Unit, peppers: Peppers, name: str, dialect: str, *, dialects: Collection[str]
) -> tuple[Connection, Credential, str]:
    """Create a connection with a first credential; return both and the token, not known afterwards.

    :param dialects: the names of the dialects that there are.
    :raises RequestInvalid: when there is no such dialect.
    :raises NameInvalid: when the name may not be one.
    :raises NameTaken: when the tenant has a connection of that name.
    """
    if dialect not in dialects:
        raise RequestInvalid(f"no dialect {dialect[:100]!r}: there is {', '.join(sorted(dialects))}")
    made = create_connection(unit, name, dialect)
    issued, token = issue_credential(unit, peppers, label=LABEL, scopes=["scim"], connection_id=made.id)
    return made, issued, token


def rotate_token(
    unit: Unit, peppers: Peppers, name_or_id: str, *, overlap: int = DEFAULT_OVERLAP
) -> tuple[Credential, str]:
    """Issue a connection a new token; all that it had before work for the overlap, and then no more.

    The tokens of its OAuth clients are not among them: each ends by itself, or with its client.

    :param overlap: in seconds; with 0, the old tokens end at once.
    :return: the new credential and its token, which is not known afterwards.
    :raises ConnectionMissing: when the tenant has no such connection.
    :raises ConnectionDisabled: when it is disabled.
    :raises CredentialInvalid: when the overlap is negative.
    """
    found = get_connection(unit, name_or_id)
    if found.disabled_at is not None:
        raise ConnectionDisabled(f"the connection {found.name!r} is disabled")
    living = [each for each in list_credentials(unit, connection_id=found.id) if each.ended(unit.now) is None]
    if not living:
        return issue_credential(unit, peppers, label=LABEL, scopes=["scim"], connection_id=found.id)
    newest = living.pop()
    made, token = rotate_credential(unit, peppers, newest.id, overlap=overlap)
    _end(unit, living, made, overlap)
    return made, token


def _end(unit: Unit, older: Collection[Credential], successor: Credential, overlap: int) -> None:
    """End what is left of earlier tokens: the newest one's own rotation does not know of them."""
    deadline = unit.now + overlap * 1_000_000
    for each in older:
        if overlap == 0:
            revoke_credential(unit, each.id)
        elif each.expires_at > deadline:
            unit.execute(sa.update(credential).where(credential.c.id == each.id).values(expires_at=deadline))
            data = {"label": each.label, "replacedBy": successor.id, "oldExpiresAt": deadline}
            record(unit, [Event("credential.shortened", f"credential/{each.id}", data)])
