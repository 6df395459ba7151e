"""``/operator/v1/connections/…/clients`` and ``…/warnings``: who may call, and who should but does not."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any, Final

from flask import Blueprint, Response

from app.access.clients import Client, Purpose, list_clients, register_client, remove_client
from app.access.credentials import Credential
from app.access.global_revocation import revocation_url
from app.access.warnings import find_warnings
from app.operator import views
from app.operator.answers import answer as _answer
from app.operator.problems import problem_response
from app.operator.requests import A_TEXT, Body, Member, is_object, read_body, read_query
from app.store.unit_of_work import Store

Acquire = Callable[[str | Collection[str]], Credential]


def _is_purpose(value: object) -> bool:
    return value in [str(each) for each in Purpose]


REGISTER: Final[Body] = {
    "name": A_TEXT.needed,
    "purpose": Member("tokens or revocation", _is_purpose, {"enum": [str(each) for each in Purpose]}),
    "jwks": Member("a JWK set", is_object, {"type": "object"}),
    "jwksUri": A_TEXT,
    "issuer": A_TEXT,
    "subject": A_TEXT,
    "audience": A_TEXT,
}
"""What the body of a registration holds."""


def blueprint(
    store: Store, acquire: Acquire, *, silent_after: int, loopback: bool, root_url: str
) -> Blueprint:
    """Return the face.

    :param acquire: returns the credential of the current request for some scopes, or raises
        :class:`~app.access.protector.Unauthenticated`.
    :param silent_after: after how many usual cycles without a call a connection is silent.
    :param loopback: whether issuers and keys may be at http addresses on this machine.
    :param root_url: the root of our public URLs.
    """
    face = Blueprint("clients", __name__, url_prefix="/operator/v1")

    def shown(client: Client) -> dict[str, Any]:
        return client_document(client, root_url)

    @face.get("/connections/<connection_id>/clients")
    def list_them(connection_id: str) -> Response:
        caller = acquire("operator")
        read_query()
        with store.reading(caller.tenant_id) as unit:
            found = list_clients(unit, connection_id)
        return _answer(views.list_document(views.whole(found), shown))

    @face.post("/connections/<connection_id>/clients")
    def register(connection_id: str) -> Response:
        caller = acquire("operator")
        asked = read_body(REGISTER)
        with store.writing(caller.tenant_id, actor=f"credential:{caller.id}") as unit:
            made = register_client(
                unit,
                connection_id,
                asked["name"],
                purpose=Purpose(asked.get("purpose", Purpose.tokens)),
                keys=asked.get("jwks"),
                keys_url=asked.get("jwksUri"),
                issuer=asked.get("issuer"),
                subject=asked.get("subject"),
                audience=asked.get("audience"),
                loopback=loopback,
            )
        return _answer(shown(made), 201)

    @face.delete("/connections/<connection_id>/clients/<client_id>")
    def remove(connection_id: str, client_id: str) -> Response:
        caller = acquire("operator")
        with store.writing(caller.tenant_id, actor=f"credential:{caller.id}") as unit:
            remove_client(unit, connection_id, client_id)
        return Response(status=204)

    @face.get("/warnings")
    def show_warnings() -> Response:
        caller = acquire(("operator", "audit"))
        read_query()
        with store.reading(caller.tenant_id) as unit:
            found = find_warnings(unit, silent_after)
        return _answer(views.list_document(views.whole(found), views.warning_document))

    face.register_error_handler(Exception, problem_response)
    return face


def client_document(client: Client, root_url: str) -> dict[str, Any]:
    """Return a client as it is shown; its keys are public. ``endpoint``: where it shows its assertions."""
    revokes = client.purpose is Purpose.revocation
    return {
        "id": client.id,
        "connection": client.connection_id,
        "name": client.name,
        "purpose": client.purpose,
        "endpoint": revocation_url(root_url, client.id) if revokes else f"{root_url}/oauth2/token",
        "issuer": client.issuer,
        "subject": client.subject,
        "audience": client.audience,
        "jwks": client.keys,
        "jwksUri": client.keys_url,
        "createdAt": views.time(client.created_at),
    }
