"""Who is meant by a subject identifier (RFC 9493) that another system names a user with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from unicodedata import normalize

import sqlalchemy as sa

from app.directory.comparable import match_key
from app.operator.consumers import USER_NAME
from app.operator.errors import ConsumerUnknown, RequestInvalid, SubjectAmbiguous
from app.operator.requests import TEXT, is_text
from app.store.tables import attribute_value, consumer
from app.store.unit_of_work import Unit

FORMATS: Final = ("email", "iss_sub", "opaque", "account", "scim", "aliases")

SUBJECT_SCHEMA: Final = {
    "type": "object",
    "properties": {"format": {"enum": list(FORMATS)}},
    "required": ["format"],
}
"""A subject identifier (RFC 9493) as JSON Schema, without what each format needs besides."""

_USER: Final = "urn:ietf:params:scim:schemas:core:2.0:user"
_EXTERNAL_ID: Final = f"{_USER}:externalid"
_EMAIL: Final = f"{_USER}:emails.value"


def find_subject(unit: Unit, identifier: Mapping[str, Any]) -> str:
    """Return the id of the one user of the tenant that a subject identifier means.

    ``email``: an address in ``emails``, or the userName. ``iss_sub``: the ``sub`` as the externalId, the
    userName or the id; whose it is, the caller's credential says. ``opaque``: the id or the externalId.
    ``account``: the userName, or an address. ``scim``: the end of the ``uri`` as the id, or the externalId.
    ``aliases``: any of these.

    :raises RequestInvalid: when the format is unknown, or what it needs is missing or no text.
    :raises ConsumerUnknown: when it means nobody.
    :raises SubjectAmbiguous: when it fits several users.
    """
    found = _meant(unit, identifier)
    if not found:
        raise ConsumerUnknown("the subject identifier names no user here")
    if len(found) > 1:
        raise SubjectAmbiguous(
            "the subject identifier fits several users: nothing was done; name one by its id"
        )
    return found.pop()


def _meant(unit: Unit, identifier: Mapping[str, Any], *, within: bool = False) -> set[str]:
    match identifier.get("format"):
        case "email":
            address = _text(identifier, "email")
            return _holding(unit, address, _EMAIL, USER_NAME)
        case "iss_sub":
            _text(identifier, "iss")
            subject = _text(identifier, "sub")
            return _of_id(unit, subject) | _holding(unit, subject, _EXTERNAL_ID, USER_NAME)
        case "opaque":
            named = _text(identifier, "id")
            return _of_id(unit, named) | _holding(unit, named, _EXTERNAL_ID)
        case "account":
            account = _text(identifier, "uri").removeprefix("acct:")
            return _holding(unit, account, _EMAIL, USER_NAME)
        case "scim":
            return _of_scim(unit, identifier)
        case "aliases" if not within:
            identifiers = identifier.get("identifiers")
            if not isinstance(identifiers, list) or not 0 < len(identifiers) <= 100:
                raise RequestInvalid("'identifiers' must be a list of 1 to 100 subject identifiers")
            if not all(isinstance(each, dict) for each in identifiers):
                raise RequestInvalid("'identifiers' must be a list of subject identifiers")
            return set().union(*(_meant(unit, each, within=True) for each in identifiers))
        case _:
            raise RequestInvalid(f"'format' must be one of: {', '.join(FORMATS)}")


def _of_scim(unit: Unit, identifier: Mapping[str, Any]) -> set[str]:
    """A SCIM subject (RFC 9967) by the id at the end of its URI or, where nobody has that, its externalId."""
    found: set[str] = set()
    if "uri" not in identifier and "externalId" not in identifier:
        raise RequestInvalid("'uri' or 'externalId' is missing")
    if "uri" in identifier:
        found |= _of_id(unit, _text(identifier, "uri").rpartition("/")[2])
    if "externalId" in identifier and not found:
        found |= _holding(unit, _text(identifier, "externalId"), _EXTERNAL_ID)
    return found


def _text(identifier: Mapping[str, Any], name: str) -> str:
    value = identifier.get(name)
    if not is_text(value):
        raise RequestInvalid(f"{name!r} must be {TEXT}")
    return str(value)


def _of_id(unit: Unit, user_id: str) -> set[str]:
    statement = sa.select(consumer.c.id).where(
        consumer.c.tenant_id == unit.tenant_id, consumer.c.id == user_id
    )
    return set(unit.execute(statement).scalars())


def _holding(unit: Unit, value: str, *attributes: str) -> set[str]:
    """The users that have a value in one of some attributes; letter case counts in an externalId alone."""
    lower = value.lower()
    prepared = {match_key(each) for each in (lower, normalize("NFC", lower), normalize("NFKC", lower))}
    meets = [
        (attribute_value.c.attribute == attribute)
        & (
            attribute_value.c.value == match_key(value)
            if attribute == _EXTERNAL_ID
            else attribute_value.c.value.in_(prepared)
        )
        for attribute in attributes
    ]
    statement = (
        sa.select(attribute_value.c.resource_id)
        .join(consumer, consumer.c.id == attribute_value.c.resource_id)
        .where(attribute_value.c.tenant_id == unit.tenant_id, sa.or_(*meets))
    )
    return set(unit.execute(statement).scalars())
