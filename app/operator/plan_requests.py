"""Reading what is to be planned: SCIM requests, or "what if this group, user or entitlement went"."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import sqlalchemy as sa

from app.operator.consumers import find_consumer
from app.operator.errors import RequestInvalid
from app.operator.plan import ScimRequest
from app.operator.requests import TEXT_SCHEMA, is_text
from app.store.tables import entitlement, resource
from app.store.unit_of_work import Unit

METHODS: Final = ("POST", "PUT", "PATCH", "DELETE")
REQUEST_SCHEMA: Final = {
    "type": "object",
    "properties": {
        "method": {"enum": [*METHODS, *(each.lower() for each in METHODS)]},
        "path": {**TEXT_SCHEMA, "pattern": "^/[^\\u0000]*$"},
        "body": {},
        "headers": {"type": "object", "additionalProperties": TEXT_SCHEMA},
    },
    "required": ["method", "path"],
    "additionalProperties": False,
}
"""What a request is, as JSON Schema."""

WITHOUT: Final = ("group", "user", "entitlement")
"""What a plan may be made without."""


def read_request(value: Any) -> ScimRequest:
    """Read a request from its JSON object: ``method``, ``path`` and, if it has them, ``body``, ``headers``.

    :raises RequestInvalid: when it is none.
    """
    if not isinstance(value, Mapping):
        raise RequestInvalid('a request is an object: {"method", "path", "body", "headers"}')
    unknown = sorted(value.keys() - {"method", "path", "body", "headers"})
    if unknown:
        raise RequestInvalid(f"a request has no {', '.join(repr(str(each)[:100]) for each in unknown[:10])}")
    method, path, headers = value.get("method"), value.get("path"), value.get("headers", {})
    if not isinstance(method, str) or method.upper() not in METHODS:
        raise RequestInvalid(f"the 'method' of a request is one of: {', '.join(METHODS)}")
    if not isinstance(path, str) or not is_text(path) or not path.startswith("/"):
        raise RequestInvalid("the 'path' of a request is such as '/Users/2819c223'")
    if not isinstance(headers, Mapping) or not all(is_text(each) for each in headers.values()):
        raise RequestInvalid("the 'headers' of a request are an object of texts")
    return ScimRequest(method.upper(), path, value.get("body"), dict(headers))


def request_without(unit: Unit, kind: str, called: str) -> ScimRequest:
    """Return the request that deletes a group, a user or an entitlement.

    :param called: its id; or the displayName of a group, the userName of a user, the value of an entitlement.
    :raises RequestInvalid: when there is no such thing, or there are several groups of that name.
    :raises ConsumerUnknown: when there is no such user.
    """
    match kind:
        case "user":
            return ScimRequest("DELETE", f"/Users/{find_consumer(unit, called).id}")
        case "entitlement":
            of_tenant = entitlement.c.tenant_id == unit.tenant_id
            named = (entitlement.c.id == called) | (entitlement.c.value == called)
            ids = unit.execute(sa.select(entitlement.c.id).where(of_tenant, named)).scalars().all()
        case _:
            display = resource.c.document["displayName"].as_string()
            statement = sa.select(resource.c.id).where(
                resource.c.tenant_id == unit.tenant_id,
                resource.c.type == "Group",
                (resource.c.id == called) | (display == called),
            )
            ids = unit.execute(statement.limit(2)).scalars().all()
    if not ids:
        raise RequestInvalid(f"there is no {kind} {called[:200]!r}")
    if len(ids) > 1:
        raise RequestInvalid(f"there are several {kind}s {called[:200]!r}: give the id of one")
    return ScimRequest("DELETE", f"/{kind.capitalize()}s/{ids[0]}")
