"""The three faces that the tour speaks to, over HTTP, with the tokens that open them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit

import httpx2

TIMEOUT: Final = 15.0
"""How long, in seconds, an answer may take."""

OKTA: Final = {
    "User-Agent": "Okta SCIM Client 1.0.0",
    "Accept": "application/scim+json",
    "Accept-Charset": "utf-8",
    "Content-Type": "application/scim+json; charset=utf-8",
}
ENTRA: Final = {"Content-Type": "application/scim+json; charset=utf-8"}


class CredentialsUnusable(Exception):
    """The text is not what ``keysteward init --json`` prints. The message repeats nothing of it."""


class ServerUnreachable(Exception):
    """Nothing answers at the URL of the credentials."""


@dataclass(frozen=True)
class Access:
    """The URL of a face, and the token that opens it."""

    url: str
    token: str = field(repr=False)


@dataclass(frozen=True)
class Credentials:
    """What opens the three faces of one tenant."""

    scim: Access
    operator: Access
    gate: Access

    @classmethod
    def parse(cls, text: str | bytes) -> Credentials:
        """Read what ``keysteward init --json`` prints.

        :raises CredentialsUnusable: when it is something else.
        """
        try:
            document = json.loads(text)
        except ValueError:
            raise CredentialsUnusable("the credentials are not JSON") from None
        return cls(*(_access(document, face) for face in ("scim", "operator", "gate")))


def _access(document: Any, face: str) -> Access:
    entry = document.get(face) if isinstance(document, Mapping) else None
    url, token = (entry.get("url"), entry.get("token")) if isinstance(entry, Mapping) else (None, None)
    if (
        not isinstance(url, str)
        or not isinstance(token, str)
        or not token.isascii()
        or not token.isprintable()
    ):
        raise CredentialsUnusable(f'the credentials have no "{face}" with a "url" and a "token"')
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise CredentialsUnusable(f'the credentials have a "url" of "{face}" that is no http or https URL')
    return Access(url.rstrip("/"), token)


@dataclass(frozen=True)
class Faces:
    """The clients of the three faces. ``gate_url`` is a whole URL: the gate has no paths below it."""

    scim: httpx2.Client
    operator: httpx2.Client
    gate: httpx2.Client
    gate_url: str

    def send(
        self, method: str, path: str, body: Mapping[str, Any], agent: Mapping[str, str]
    ) -> httpx2.Response:
        """Send a SCIM body with the headers of an identity provider."""
        return self.scim.request(method, path, content=json.dumps(body), headers=agent)

    def look_up(
        self, path: str, attribute: str, value: str, agent: Mapping[str, str], **parameters: str
    ) -> httpx2.Response:
        """Look for the resources of which an attribute has a value, with an identity provider's headers."""
        wanted = {**parameters, "filter": f'{attribute} eq "{value}"'}
        return self.scim.get(path, params=wanted, headers=agent)

    def verify(self, secret: str, method: str, path: str) -> httpx2.Response:
        """Ask the gate about a call with a key, as a gateway does that has just received the call."""
        headers = {
            "Authorization": f"Bearer {secret}",
            "X-Original-Method": method,
            "X-Original-URI": path,
        }
        return self.gate.get(self.gate_url, headers=headers)


@contextmanager
def open_faces(credentials: Credentials, *, trust_environment: bool) -> Iterator[Faces]:
    """Open the clients, and close them at the end.

    :param trust_environment: whether proxies and certificates that the environment names are used.
    :raises ServerUnreachable: when nothing answers.
    """

    def client(access: Access, header: str) -> httpx2.Client:
        return httpx2.Client(
            base_url=access.url,
            headers={header: f"Bearer {access.token}"},
            timeout=TIMEOUT,
            trust_env=trust_environment,
        )

    with (
        client(credentials.scim, "Authorization") as scim,
        client(credentials.operator, "Authorization") as operator,
        client(credentials.gate, "X-Gate-Authorization") as gate,
    ):
        for face in (scim, operator, gate):
            address = f"{face.base_url.scheme}://{face.base_url.netloc.decode()}"
            try:
                # Any answer will do. It opens the connection too, so that no step is charged for that.
                face.get(f"{address}/healthz")
            except httpx2.TransportError as error:
                said = str(error) or type(error).__name__
                raise ServerUnreachable(f"no answer from {address}: {said}") from None
        yield Faces(scim, operator, gate, credentials.gate.url)


def came_back(answer: httpx2.Response) -> str:
    """Say in a few words what an answer is: its status and the reason in it, never its whole body."""
    said = [answer.headers.get("X-Auth-Reason")]
    try:
        body = answer.json()
    except ValueError:
        body = None
    if isinstance(body, Mapping):
        said += [body.get("scimType"), body.get("detail") or body.get("title")]
    words = [" ".join(str(each).split())[:160] for each in said if each]
    return " ".join([str(answer.status_code), *dict.fromkeys(words)])
