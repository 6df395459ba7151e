"""The page of a claim link: ``/claim``.

The token stands after the ``#`` of the link, which browsers send to nobody: so it reaches no log on the way,
and whoever only fetches a link, as mail scanners do, consumes nothing. It comes in the form that the page
sends.
"""

from __future__ import annotations

from typing import Final

from flask import Blueprint, Response

from app.claiming.failures import failed
from app.claiming.forms import read_field
from app.claiming.handover import hand_over
from app.claiming.pages import message, page
from app.keys.claims import LinkEnded, find_link, use_link
from app.keys.lifecycle import BY_LINK, KeyClaimed, KeyNotClaimable, Minting
from app.store.unit_of_work import Store

PATH: Final = "/claim"

_LATER: Final = (
    "The link still works: try it again later, or tell whoever sent it to you.",
    "It ends at the time that you were told with it.",
)


def link_url(root_url: str, token: str) -> str:
    """Return the link with a token, as it is given to a consumer."""
    return f"{root_url}{PATH}#{token}"


def blueprint(store: Store, minting: Minting, *, root_url: str) -> Blueprint:
    """Return the face.

    :param root_url: the root of the URLs in the pages, without a slash at its end.
    """
    claiming = Blueprint("claim_link", __name__, template_folder="templates")

    @claiming.get(PATH)
    def show() -> Response:
        """Show the same page to everybody; nothing is looked up and nothing consumed."""
        return page("claim", action=f"{root_url}{PATH}")

    @claiming.post(PATH)
    def claim() -> Response:
        """Hand the secret out to whoever has the token, once."""
        # Whoever has no script gives the code by hand, and may give the whole link.
        token = read_field("code").rpartition("#")[2]
        link = find_link(store, minting.peppers, token)
        if link is None:
            return message(
                404,
                "There is no such link",
                "Nothing belongs to this code. Follow the link once more, or copy all of it.",
            )
        with store.writing(link.tenant_id, actor=f"link:{link.id}") as unit:
            key_id = use_link(unit, link.id)
            secret = hand_over(unit, key_id, minting, by=BY_LINK)
        return page("secret", secret=secret.text, key_id=key_id)

    claiming.register_error_handler(Exception, _refused)
    return claiming


def _refused(error: Exception) -> Response:
    """Say what is wrong; whatever went wrong, the link was not used up."""
    match error:
        case LinkEnded():
            return message(410, "This link has ended", str(error))
        case KeyClaimed():
            return message(
                410,
                "This key was handed out already",
                "The key was claimed in another way, and a key is shown only once.",
                "If that was not you, tell whoever sent you the link at once: it must be revoked.",
            )
        case KeyNotClaimable():
            return message(409, "The key cannot be shown now", f"{_sentence(str(error))}.", *_LATER)
        case _:
            return failed(error)


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]
