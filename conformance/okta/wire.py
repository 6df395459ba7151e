"""Requests as Okta's SCIM client makes them, its patience with 429 included."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from conformance.company.journal import Deviates, Journal, practice
from conformance.exchange import Answer, Target

USER: Final = "urn:ietf:params:scim:schemas:core:2.0:User"
ENTERPRISE: Final = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
GROUP: Final = "urn:ietf:params:scim:schemas:core:2.0:Group"
PATCH: Final = "urn:ietf:params:scim:api:messages:2.0:PatchOp"

PAUSE_WITHOUT_WORD_SECONDS: Final = 300
"""How long Okta waits when a 429 does not say it in whole seconds."""

MOST_PAUSES: Final = 10

RETRY_AFTER = practice(
    "okta-429-retry-after", "Okta", "A 429 says in Retry-After, in whole seconds, when to come again."
)

_HEADERS: Final = {
    "User-Agent": "Okta SCIM Client 1.0.0",
    "Accept": "application/scim+json",
    "Accept-Charset": "utf-8",
}


@dataclass
class Wire:
    """Sends what Okta sends, and waits and asks again when it is told to."""

    journal: Journal
    wait: Callable[[float], None] = time.sleep
    """Lets a number of seconds pass: real ones for a real server, virtual ones for a trial of this class."""

    sent: int = field(default=0)
    """How many requests were made."""

    @property
    def target(self) -> Target:
        return self.journal.target

    def get(self, path: str, **query: Any) -> Answer:
        return self._send("GET", path, query=query or None)

    def post(self, path: str, body: Any) -> Answer:
        return self._send("POST", path, body, content_type="application/json")

    def put(self, path: str, body: Any) -> Answer:
        return self._send("PUT", path, body)

    def patch(self, path: str, *operations: Mapping[str, Any]) -> Answer:
        return self._send("PATCH", path, {"schemas": [PATCH], "Operations": list(operations)})

    def delete(self, path: str) -> Answer:
        return self._send("DELETE", path)

    def find(self, path: str, attribute: str, value: str) -> list[dict[str, Any]]:
        """Return the resources that Okta's look-up finds; a 404 counts as none.

        :raises Deviates: when the answer is neither a list nor a 404.
        """
        escaped = value.replace("\\", "\\\\").replace('"', '\\"')
        answer = self.get(path, filter=f'{attribute} eq "{escaped}"', startIndex=1, count=100)
        if answer.status == 404:
            return []
        if answer.status != 200 or not isinstance(answer.document.get("totalResults"), int):
            raise Deviates(f"the look-up by {attribute} answers {answer.status}: {answer.text[:300]}")
        return answer.resources

    def _send(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        query: Mapping[str, Any] | None = None,
        content_type: str = "application/scim+json",
    ) -> Answer:
        headers = dict(_HEADERS)
        if body is not None:
            headers["Content-Type"] = f"{content_type}; charset=utf-8"
        factor = 1
        for _ in range(MOST_PAUSES):
            self.sent += 1
            answer = self.target.send(method, path, body, query=query, headers=headers)
            if answer.status != 429:
                return answer
            said = str(answer.headers.get("retry-after", ""))
            whole = said.isascii() and said.isdigit()
            self.journal.note(RETRY_AFTER, whole, f"Retry-After is {said!r}")
            self.wait((int(said) if whole else PAUSE_WITHOUT_WORD_SECONDS) * factor)
            factor *= 2
        raise Deviates(f"{method} /{path} was answered 429 {MOST_PAUSES} times, and Okta gave up")
