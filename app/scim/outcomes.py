"""What became of an asynchronous request, as a document: the claims of RFC 9967's security event tokens."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from scim2_server.responses import ScimResponse

from app.scim.asynchronous_requests import AsynchronousRequest
from app.scim.capabilities import ASYNCHRONOUS_RESPONSE
from app.store.unit_of_work import new_id

BULK_PATH: Final = "/Bulk"

_LIST: Final = "urn:ietf:params:scim:api:messages:2.0:ListResponse"


def outcome_of(
    asked: AsynchronousRequest,
    answer: ScimResponse,
    *,
    moment: int,
    operations: Mapping[int, str],
    external_ids: Mapping[str, str],
) -> dict[str, Any]:
    """Return the claims of the token that says what became of a request, as RFC 8417 names them.

    That of a bulk request is a list of such claims (RFC 7644 §3.4.2), one for each operation that was run;
    their ``txn`` is that of the request with the place of the operation, from 0 on. A bulk request that was
    refused as a whole has one, without a place.

    :param answer: what the request would have been answered.
    :param moment: when it was carried out, in microseconds.
    :param operations: of the operations of a bulk request that were run, the path by their place.
    :param external_ids: the ``externalId`` of each resource that has one, by ``id``.
    """
    request = asked.request
    base_url = request.base_url.rstrip("/")

    def claims(txn: str, path: str, result: dict[str, Any]) -> dict[str, Any]:
        location = result.get("location")
        uri = location.removeprefix(base_url) if location else path
        external_id = external_ids.get(uri.rpartition("/")[2])
        named = {} if external_id is None else {"externalId": external_id}
        return {
            "jti": new_id(),
            "iat": moment // 1_000_000,
            "iss": base_url,
            "txn": txn,
            "sub_id": {"format": "scim", "uri": uri, **named},
            "events": {ASYNCHRONOUS_RESPONSE: result},
        }

    path = "/" + request.path.strip("/")
    if path != BULK_PATH:
        return claims(asked.txn, path, _result(asked, path, answer))
    if answer.status >= 400:
        listed = [claims(asked.txn, path, _result(asked, path, answer))]
    else:
        results = (answer.body or {}).get("Operations") or []
        listed = [
            claims(f"{asked.txn}:{place}", "/" + operations[place].strip("/"), result)
            for place, result in zip(sorted(operations), results, strict=True)
        ]
    return {"schemas": [_LIST], "totalResults": len(listed), "itemsPerPage": len(listed), "Resources": listed}


def _result(asked: AsynchronousRequest, path: str, answer: ScimResponse) -> dict[str, Any]:
    """Return an answer as a bulk response has it (RFC 7644 §3.7.3)."""
    method = asked.request.method.upper()
    location = answer.headers.get("Location")
    if location is None and method != "POST":
        location = asked.request.base_url.rstrip("/") + path
    result = {
        "method": method,
        "location": location,
        "version": answer.headers.get("ETag"),
        "status": str(int(answer.status)),
        "response": answer.body if answer.status >= 400 else None,
    }
    return {name: value for name, value in result.items() if value is not None}
