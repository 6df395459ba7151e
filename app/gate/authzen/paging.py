"""The tokens by which the pages of a search follow one another, each for one question of one tenant."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Mapping
from typing import Any, Final

from app.gate.authzen.reading import RequestInvalid

_MAC: Final = 16


class PageTokens:
    """Makes and reads tokens.

    :param secret: signs them; the same in every process.
    """

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def token(self, tenant_id: str, search: str, request: Mapping[str, Any], reached: str) -> str:
        """Return the token of the page after the last thing that a page looked at."""
        return base64.urlsafe_b64encode(
            self._mac(tenant_id, search, request, reached) + reached.encode()
        ).decode()

    def reached(self, tenant_id: str, search: str, request: Mapping[str, Any], token: str) -> str:
        """Return what the page before the token's looked at last.

        :raises RequestInvalid: when the token is none of ours, or was given for another question.
        """
        try:
            read = base64.b64decode(token, altchars=b"-_", validate=True)
            reached = read[_MAC:].decode()
        except (ValueError, binascii.Error):
            reached, read = "", b""
        if not hmac.compare_digest(read[:_MAC], self._mac(tenant_id, search, request, reached)):
            raise RequestInvalid("page.token belongs to another request: only page may change between pages")
        return reached

    def _mac(self, tenant_id: str, search: str, request: Mapping[str, Any], reached: str) -> bytes:
        asked = {name: value for name, value in request.items() if name != "page"}
        text = json.dumps([tenant_id, search, asked, reached], sort_keys=True)
        return hmac.new(self._secret, text.encode(), hashlib.sha256).digest()[:_MAC]
