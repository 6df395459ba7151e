"""``/operator/v1/keys/…/claim-link`` and ``/operator/v1/login-provider``: other ways to claim."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection
from typing import Any, Final

from flask import Blueprint, Response, abort, request

from app.access.credentials import Credential
from app.access.login_provider import (
    ATTRIBUTES,
    CLIENT_AUTHENTICATIONS,
    ClientSecrets,
    LoginProvider,
    get_login_provider,
    remove_login_provider,
    set_login_provider,
)
from app.claiming.consumer_face import redirect_uri
from app.claiming.link_face import link_url
from app.keys.claims import DEFAULT_LIFETIME, LONGEST_LIFETIME, ClaimLink
from app.keys.lifecycle import Minting
from app.operator import views
from app.operator.claims import make_claim_link
from app.operator.problems import problem_response
from app.operator.requests import A_TEXT, Body, read_body, read_query, whole_number
from app.store.unit_of_work import Store

Acquire = Callable[[str | Collection[str]], Credential]

_SECOND: Final = 1_000_000
_LONGEST: Final = LONGEST_LIFETIME // _SECOND

LINK: Final[Body] = {"expiresInSeconds": whole_number(1, _LONGEST, f"1 to {_LONGEST} whole seconds")}
PROVIDER: Final[Body] = {
    "issuer": A_TEXT.needed,
    "clientId": A_TEXT.needed,
    "clientAuthentication": A_TEXT,
    "claim": A_TEXT,
    "attribute": A_TEXT,
}
"""What the bodies of requests hold."""


def blueprint(
    store: Store,
    minting: Minting,
    acquire: Acquire,
    secrets: ClientSecrets,
    *,
    root_url: str,
    loopback: bool,
) -> Blueprint:
    """Return the face.

    :param acquire: returns the credential of the current request for some scopes, or raises
        :class:`~app.access.protector.Unauthenticated`.
    :param root_url: the root of the links that are made, without a slash at its end.
    :param loopback: whether a login provider may be at an http address on this machine.
    """
    face = Blueprint("claims", __name__, url_prefix="/operator/v1")

    @face.post("/keys/<key_id>/claim-link")
    def make(key_id: str) -> Response:
        caller = acquire("operator")
        asked = read_body(LINK)
        lifetime = asked.get("expiresInSeconds", DEFAULT_LIFETIME // _SECOND) * _SECOND
        with store.writing(caller.tenant_id, actor=f"credential:{caller.id}") as unit:
            made, token = make_claim_link(unit, key_id, minting, lifetime=lifetime)
        return _answer(claim_link_document(made, token, root_url), 201)

    @face.get("/login-provider")
    def show() -> Response:
        caller = acquire("operator")
        read_query()
        with store.reading(caller.tenant_id) as unit:
            found = get_login_provider(unit)
        return _answer(login_provider_document(found, secrets, root_url))

    @face.put("/login-provider")
    def put() -> Response:
        caller = acquire("operator")
        asked = read_body(PROVIDER)
        with store.writing(caller.tenant_id, actor=f"credential:{caller.id}") as unit:
            made = set_login_provider(
                unit,
                asked["issuer"],
                asked["clientId"],
                client_authentication=asked.get("clientAuthentication", CLIENT_AUTHENTICATIONS[0]),
                claim=asked.get("claim"),
                attribute=asked.get("attribute", ATTRIBUTES[0]),
                loopback=loopback,
            )
        return _answer(login_provider_document(made, secrets, root_url))

    @face.delete("/login-provider")
    def remove() -> Response:
        caller = acquire("operator")
        with store.writing(caller.tenant_id, actor=f"credential:{caller.id}") as unit:
            remove_login_provider(unit)
        return Response(status=204)

    face.before_request(_refuse_unstorable_path)
    face.register_error_handler(Exception, problem_response)
    return face


def claim_link_document(link: ClaimLink, token: str, root_url: str) -> dict[str, Any]:
    """Return a new link as it is shown: the one document with its token."""
    return {
        "id": link.id,
        "key": link.key_id,
        "url": link_url(root_url, token),
        "expiresAt": views.time(link.expires_at),
    }


def login_provider_document(provider: LoginProvider, secrets: ClientSecrets, root_url: str) -> dict[str, Any]:
    """Return a login provider as it is shown; of its client's secret, the name of its file only."""
    is_public = provider.client_authentication == "none"
    return {
        "issuer": provider.issuer,
        "clientId": provider.client_id,
        "clientAuthentication": provider.client_authentication,
        "clientSecretFile": None if is_public else secrets.path(provider).name,
        "claim": provider.claim,
        "attribute": provider.attribute,
        "redirectUri": redirect_uri(root_url, provider.tenant_id),
        "changedAt": views.time(provider.created_at),
    }


def _refuse_unstorable_path() -> None:
    # Nothing has such an id, and PostgreSQL does not even let one ask.
    if "\0" in request.path:
        abort(404)


def _answer(document: dict[str, Any], status: int = 200) -> Response:
    body = json.dumps(document, ensure_ascii=False)
    return Response(body, status, {"Cache-Control": "no-store"}, mimetype="application/json")
