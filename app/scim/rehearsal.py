"""A SCIM request carried out by the very code that serves it, in a unit of work that somebody else undoes."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qsl

import sqlalchemy as sa
from scim2_models import InvalidValueException, SCIMException
from scim2_server.requests import ScimRequest

from app.scim.backlog import UNANSWERED
from app.scim.dialects import DEFAULT_DIALECT, DIALECTS
from app.scim.handler import carry_out
from app.scim.provider import load_provider
from app.scim.service import DialectService
from app.scim.storage import DirectoryStorage
from app.store.unit_of_work import Unit

log = logging.getLogger(__name__)

ROOT: Final = "/scim/v2"
"""A path may be given with the root of the face before it, or without."""

MEDIA_TYPE: Final = "application/scim+json"


@dataclass(frozen=True)
class Answer:
    """What a request would be answered.

    ``scim_type`` and ``detail`` are those of its error (RFC 7644 §3.12), None where it would be served.
    ``tolerated``: the deviations that its dialect put right. ``operations``: of a Bulk request, the answer to
    each operation.
    """

    status: int
    scim_type: str | None = None
    detail: str | None = None
    tolerated: tuple[str, ...] = ()
    operations: tuple[Answer, ...] = field(default=())


class Rehearsal:
    """Carries requests out as the provisioning face does, each in a unit of work that is given to it.

    :param service_for: returns the service of a dialect, by its name; None is the default one.
    """

    def __init__(self, service_for: Callable[[str | None], DialectService]) -> None:
        self._service_for = service_for

    def __call__(
        self,
        unit: Unit,
        *,
        method: str,
        path: str,
        body: Any,
        headers: Mapping[str, str],
        dialect: str | None,
    ) -> Answer:
        """Carry a request out, and say what it would be answered; what is refused leaves nothing behind.

        :param path: below the root of the face, with a query if there is one.
        :param body: the JSON value to send; None sends nothing.
        :raises StoreError: when the store does not answer, as the errors of SQLAlchemy that say so.
        """
        service = self._service_for(dialect).for_request(unit.tenant_id, unit.actor)
        request = _request(method, path, body, headers)
        storage = DirectoryStorage(unit, service.directory_provider, service.dialect)
        try:
            with unit.savepoint():
                answer = carry_out(storage, service, service.match(request).operation, request, None)
        except UNANSWERED:
            raise
        except sa.exc.DataError:
            refused = InvalidValueException(detail="A value holds characters that cannot be stored")
            answer = service.error_response(refused)
        except Exception as error:
            if not isinstance(error, SCIMException):
                log.exception("a rehearsed request failed")
            answer = service.error_response(error)
        document = answer.body if isinstance(answer.body, dict) else {}
        operations = document.get("Operations") if path_of(path) == "/Bulk" else None
        return Answer(
            int(answer.status),
            *_error(document, int(answer.status)),
            tolerated=tuple(sorted(service.tolerated)),
            operations=tuple(_of_operation(each) for each in operations or ()),
        )


def rehearsal_of(schemas_dir: Path | None, *, max_body: int) -> Rehearsal:
    """Return a rehearsal for a process that serves nothing: it reads the schemas when they are needed.

    :param schemas_dir: a folder of resource types and schemas besides those of the package.
    :param max_body: the largest body of a request, in bytes.
    """

    def service_for(name: str | None) -> DialectService:
        dialect = DIALECTS[name or DEFAULT_DIALECT]
        provider = load_provider(dialect.policy, schemas_dir, dialect.catalogue)
        return DialectService(provider, dialect, max_body=max_body)

    return Rehearsal(service_for)


def path_of(path: str) -> str:
    """Return a path below the root of the face, without its query."""
    bare = path.partition("?")[0]
    below = bare.removeprefix(ROOT)
    return below if below.startswith("/") else bare


def _request(method: str, path: str, body: Any, headers: Mapping[str, str]) -> ScimRequest:
    named = {name.lower() for name in headers}
    content = {} if body is None or "content-type" in named else {"Content-Type": MEDIA_TYPE}
    return ScimRequest(
        method=method.upper(),
        base_url=ROOT,
        path=path_of(path),
        query=dict(parse_qsl(path.partition("?")[2], keep_blank_values=True)),
        headers={**headers, **content},
        body=b"" if body is None else json.dumps(body).encode(),
    )


def _of_operation(operation: Mapping[str, Any]) -> Answer:
    status = int(operation["status"])
    response = operation.get("response")
    return Answer(status, *_error(response if isinstance(response, dict) else {}, status))


def _error(document: Mapping[str, Any], status: int) -> tuple[str | None, str | None]:
    return (document.get("scimType"), document.get("detail")) if status >= 400 else (None, None)
