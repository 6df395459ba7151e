"""The server under test: its provisioning face, its operator's face, and the nodes that verify."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from conformance.company.patience import patient
from conformance.exchange import Answer, Target, open_target

SCIM_PATH: Final = "/scim/v2"
OPERATOR_PATH: Final = "/operator/v1"


class Unexpected(Exception):
    """The server answered what no step of the run can go on with; the message says what."""


@dataclass(frozen=True)
class Server:
    """Where directory and keys are written. Both ways wait when the server asks for a pause."""

    scim: Target
    operator: Target

    def make(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """Create a SCIM resource and return it.

        :raises Unexpected: when it was not created.
        """
        return self._expect(self.scim.post(path, body), 201, f"POST {path}")

    def act(self, path: str, body: dict[str, Any] | None = None) -> Answer:
        """Send an action to the operator's face."""
        return self.operator.send("POST", path, body or {}, headers={"Content-Type": "application/json"})

    def key(self, user_id: str, value: str) -> tuple[str, str]:
        """Issue a key to a user for an entitlement and claim it; return its id and its secret.

        :raises Unexpected: when that was refused.
        """
        asked = {"consumer": user_id, "entitlements": [value]}
        key_id = self._expect(self.act("keys", asked), 201, "POST keys")["id"]
        return key_id, self._expect(self.act(f"keys/{key_id}/claim"), 200, "claim of a key")["secret"]

    @staticmethod
    def _expect(answer: Answer, status: int, what: str) -> dict[str, Any]:
        if answer.status != status:
            raise Unexpected(f"{what} answers {answer.status}: {answer.document.get('detail', '')}")
        return answer.document


def open_server(url: str, scim_token: str, operator_token: str) -> Server:
    """Return the server at a root URL such as ``https://keys.example.com``."""
    root = url.rstrip("/")
    return Server(
        patient(open_target(root + SCIM_PATH, scim_token)),
        patient(open_target(root + OPERATOR_PATH, operator_token)),
    )
