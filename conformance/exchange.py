"""Requests to the server under test, each kept with its answer; and what the suites have made there."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Final

import httpx2

SCIM_JSON: Final = "application/scim+json"
_LONGEST_KEPT: Final = 20_000


@dataclass(frozen=True)
class Exchange:
    """One request and its answer, without credentials."""

    method: str
    url: str
    request_headers: Mapping[str, str]
    request_body: str
    status: int
    response_headers: Mapping[str, str]
    response_body: str

    def to_json(self) -> dict[str, Any]:
        """Return the exchange as the machine-readable report holds it."""
        return {
            "method": self.method,
            "url": self.url,
            "requestHeaders": dict(self.request_headers),
            "requestBody": self.request_body,
            "status": self.status,
            "responseHeaders": dict(self.response_headers),
            "responseBody": self.response_body,
        }


@dataclass(frozen=True)
class Answer:
    """What the server answered."""

    status: int
    headers: Mapping[str, str]
    """Names are compared without letter case."""

    text: str

    @property
    def json(self) -> Any:
        """The body as JSON; None when it is empty or none."""
        try:
            return json.loads(self.text)
        except ValueError:
            return None

    @property
    def document(self) -> dict[str, Any]:
        """The body as a JSON object; empty when it is none."""
        body = self.json
        return body if isinstance(body, dict) else {}

    @property
    def resources(self) -> list[dict[str, Any]]:
        """The resources of a list response."""
        found = self.document.get("Resources")
        return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []


class ServerUnreachable(Exception):
    """The server under test cannot be spoken to; the message says why."""


@dataclass
class Target:
    """The server under test.

    Every resource that is created through it is remembered until it is deleted, for :meth:`clean_up`.
    """

    client: httpx2.Client
    """With the base URL of the SCIM service and the credential; see :func:`open_target`."""

    recorded: list[Exchange] = field(default_factory=list)
    """What went over the wire since :meth:`recording` began; empty outside of one."""

    created: dict[str, None] = field(default_factory=dict)
    """The paths of resources that exist because a suite made them, oldest first."""

    _recording: bool = False

    def send(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        query: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        content: bytes | None = None,
        with_credential: bool = True,
    ) -> Answer:
        """Send a request below the base URL and return its answer, whatever its status.

        :param body: sent as JSON with the media type of SCIM; ``content`` is sent as it is instead. A header
            given here replaces the usual one.
        :param with_credential: whether the server is told who is asking.
        :raises ServerUnreachable: when there is no answer.
        """
        sent_headers = {"Accept": SCIM_JSON, **(headers or {})}
        if body is not None and content is None:
            content = json.dumps(body).encode()
        if content is not None and not any(name.lower() == "content-type" for name in sent_headers):
            sent_headers["Content-Type"] = SCIM_JSON
        request = self.client.build_request(
            method, path.lstrip("/"), params=query, headers=sent_headers, content=content
        )
        if not with_credential:
            request.headers.pop("Authorization", None)
        try:
            response = self.client.send(request)
        except httpx2.TransportError as error:
            raise ServerUnreachable(f"{method} {path}: {error}") from error
        answer = Answer(response.status_code, response.headers, response.text)
        if self._recording:
            shown = {
                name: value for name, value in request.headers.items() if name.lower() != "authorization"
            }
            self.recorded.append(
                Exchange(
                    method,
                    str(request.url),
                    shown,
                    (content or b"")[:_LONGEST_KEPT].decode("utf-8", "replace"),
                    answer.status,
                    dict(response.headers),
                    answer.text[:_LONGEST_KEPT],
                )
            )
        self._remember(method, path, answer)
        return answer

    def get(self, path: str, **query: Any) -> Answer:
        return self.send("GET", path, query=query or None)

    def post(self, path: str, body: Any) -> Answer:
        return self.send("POST", path, body)

    def put(self, path: str, body: Any) -> Answer:
        return self.send("PUT", path, body)

    def patch(self, path: str, *operations: Mapping[str, Any]) -> Answer:
        schemas = ["urn:ietf:params:scim:api:messages:2.0:PatchOp"]
        return self.send("PATCH", path, {"schemas": schemas, "Operations": list(operations)})

    def delete(self, path: str) -> Answer:
        return self.send("DELETE", path)

    @contextmanager
    def recording(self) -> Iterator[list[Exchange]]:
        """Keep what goes over the wire inside of it, for a finding."""
        self.recorded = []
        self._recording = True
        try:
            yield self.recorded
        finally:
            self._recording = False

    def clean_up(self) -> list[str]:
        """Delete what the suites have made and not deleted, newest first; return the paths that stayed."""
        with suppress(ServerUnreachable):
            for path in reversed(list(self.created)):
                self.delete(path)
        return list(self.created)

    def _remember(self, method: str, path: str, answer: Answer) -> None:
        path = path.partition("?")[0].strip("/")
        identity = answer.document.get("id")
        if method == "POST" and answer.status == 201 and isinstance(identity, str) and "/" not in path:
            self.created[f"{path}/{identity}"] = None
        elif method == "DELETE" and answer.status in (204, 200, 404):
            self.created.pop(path, None)
        elif method == "POST" and path.lower() == "bulk" and answer.status == 200:
            for operation in answer.document.get("Operations") or ():
                self._remember_operation(operation)

    def _remember_operation(self, operation: Mapping[str, Any]) -> None:
        location = str(operation.get("location") or "")
        path = "/".join(location.rstrip("/").split("/")[-2:])
        status = str(operation.get("status"))
        if str(operation.get("method")).upper() == "POST" and status == "201" and path:
            self.created[path] = None
        elif str(operation.get("method")).upper() == "DELETE" and status == "204":
            self.created.pop(path, None)


def open_target(url: str, token: str, *, timeout_seconds: float = 60.0) -> Target:
    """Return the server at a base URL such as ``https://example.com/scim/v2``, spoken to with a token."""
    return Target(
        httpx2.Client(
            base_url=url.rstrip("/") + "/",
            headers={"Authorization": f"Bearer {token}", "User-Agent": "keysteward-conformance"},
            timeout=timeout_seconds,
        )
    )
