"""Requests as Entra makes them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from conformance.exchange import Answer, Target

USER: Final = "urn:ietf:params:scim:schemas:core:2.0:User"
ENTERPRISE: Final = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
GROUP: Final = "urn:ietf:params:scim:schemas:core:2.0:Group"
UNDECLARED: Final = "http://schemas.microsoft.com/2006/11/ResourceManagement/ADSCIM/2.0/Group"
PATCH: Final = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
FLAG: Final = "aadOptscim062020"

_HEADERS: Final = {"User-Agent": "Microsoft Azure Active Directory Synchronization", "Accept": "*/*"}


class RoleMapping(StrEnum):
    """Which expression the administrator mapped app roles with."""

    SINGLE = "SingleAppRoleAssignment"
    COMPLEX = "AppRoleAssignmentsComplex"
    """Only ever adds; each role is JSON inside a text."""
    ASSERTIVE = "AssertiveAppRoleAssignmentsComplex"


@dataclass(frozen=True)
class Wire:
    """Sends what Entra sends."""

    target: Target
    flag: bool
    """Whether the tenant URL ends in ``?aadOptscim062020``."""

    def get(self, path: str, **query: Any) -> Answer:
        return self._send("GET", path, query=query)

    def post(self, path: str, body: Any) -> Answer:
        return self._send("POST", path, body)

    def put(self, path: str, body: Any) -> Answer:
        """Replace, as Entra never does: to put right what a failed step left behind."""
        return self._send("PUT", path, body)

    def patch(self, path: str, operations: Sequence[Mapping[str, Any]]) -> Answer:
        return self._send("PATCH", path, {"schemas": [PATCH], "Operations": list(operations)})

    def delete(self, path: str) -> Answer:
        return self._send("DELETE", path)

    def op(self, name: str) -> str:
        """Return the name of an operation as this dialect writes it."""
        return name.lower() if self.flag else name.capitalize()

    def _send(
        self, method: str, path: str, body: Any = None, *, query: Mapping[str, Any] | None = None
    ) -> Answer:
        asked = {**(query or {}), **({FLAG: ""} if self.flag else {})}
        headers = dict(_HEADERS)
        if body is not None:
            headers["Content-Type"] = "application/scim+json; charset=utf-8"
        return self.target.send(method, path, body, query=asked or None, headers=headers)
