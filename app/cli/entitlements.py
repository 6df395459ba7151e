"""``keysteward entitlement …``: entitlements by hand, through the same storage as an identity provider's."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any, TextIO

import click
import sqlalchemy as sa
from scim2_models import Context, InvalidValueException, Resource, SearchRequest, UniquenessException

from app.cli.durations import seconds
from app.cli.failures import Unable
from app.cli.printing import print_json, print_table
from app.cli.tenancy import Work, json_option, reading, tenant_option, writing
from app.directory.entitlements import ENTITLEMENT_SCHEMA, LONGEST_LIFETIME
from app.operator.views import list_document, whole
from app.rights.conditions import NAMES
from app.rights.words import duration
from app.scim.dialects import DEFAULT_DIALECT, DIALECTS
from app.scim.provider import load_provider
from app.scim.service import DialectService
from app.scim.views import ViewStorage
from app.store.tables import entitlement as entitlement_table
from app.store.tables import resource
from app.store.unit_of_work import Unit

_PAGE = 1000


@click.group()
def entitlement() -> None:
    """Make, list, show and delete entitlements: rights to call something."""


@entitlement.command()
@click.argument("value")
@click.option("--display", metavar="TEXT", help="What people call it.")
@click.option("--audience", metavar="API", help="The API that its keys are meant for.")
@click.option("--scope", "scopes", multiple=True, help="What its holders may do there. Repeatable.")
@click.option(
    "--issuance",
    type=click.Choice(["automatic", "manual"]),
    default="manual",
    show_default=True,
    help="Whether a grant issues a key by itself.",
)
@click.option("--role", "roles", multiple=True, help="A value of User.roles that grants it. Repeatable.")
@click.option(
    "--group", "groups", multiple=True, help="A group that grants it: id or displayName. Repeatable."
)
@click.option("--method", "methods", multiple=True, help="An HTTP method that may be used. Repeatable.")
@click.option(
    "--path", "paths", multiple=True, help="A path that may be called, such as /orders/*. Repeatable."
)
@click.option(
    "--network", "networks", multiple=True, help="A network to call from, such as 192.0.2.0/24. Repeatable."
)
@click.option(
    "--window",
    "windows",
    multiple=True,
    help="When it may be used, such as 'Mon-Fri 08:00-18:00 Europe/Berlin'. Repeatable.",
)
@click.option("--not-before", metavar="TIME", help="The first moment, such as 2026-11-30T17:00:00Z.")
@click.option("--not-after", metavar="TIME", help="The last moment.")
@click.option("--rate", metavar="RATE", help="How often, such as '100/60s burst 20'.")
@click.option("--quota", metavar="QUOTA", help="How often by day and month, such as '1000/day UTC'.")
@click.option("--cedar", metavar="FILE", type=click.File(encoding="utf-8"), help="Policies in Cedar.")
@click.option(
    "--lifetime",
    metavar="SPAN",
    callback=seconds(least=1, most=LONGEST_LIFETIME),
    help="How long its keys last, such as 90d.",
)
@tenant_option
@json_option
def create(
    value: str,
    display: str | None,
    audience: str | None,
    scopes: tuple[str, ...],
    issuance: str,
    roles: tuple[str, ...],
    groups: tuple[str, ...],
    methods: tuple[str, ...],
    paths: tuple[str, ...],
    networks: tuple[str, ...],
    windows: tuple[str, ...],
    not_before: str | None,
    not_after: str | None,
    rate: str | None,
    quota: str | None,
    cedar: TextIO | None,
    lifetime: int | None,
    tenant: str | None,
    as_program: bool,
) -> None:
    """Make the entitlement VALUE: the exact text that an identity provider assigns."""
    if "" in (value, *scopes, *roles, *groups, *methods, *paths):
        raise click.UsageError("an empty text names nothing")
    policy: dict[str, Any] = {
        "audience": audience,
        "scopes": list(scopes),
        "conditions": {
            "methods": list(methods),
            "paths": list(paths),
            "networks": list(networks),
            "windows": list(windows),
            "notBefore": not_before,
            "notAfter": not_after,
            "rate": rate,
            "quota": quota,
            "cedar": None if cedar is None else cedar.read(),
        },
        "keyPolicy": {"issuance": issuance, "lifetimeSeconds": lifetime},
        "roles": [{"value": role} for role in roles],
    }
    with writing(tenant) as work:
        policy["groups"] = [{"value": _group_id(work.unit, group)} for group in groups]
        document = {
            "schemas": [ENTITLEMENT_SCHEMA],
            "value": value,
            "display": display,
            **policy,
        }
        made = Entitlements(work).create(_without_empty(document))
    if as_program:
        print_json(made)
    else:
        click.echo(f"Made the entitlement {made['value']} ({made['id']}).")


@entitlement.command("list")
@tenant_option
@json_option
def list_(tenant: str | None, as_program: bool) -> None:
    """List the entitlements by their values."""
    with reading(tenant) as work:
        found = Entitlements(work).list()
    if as_program:
        print_json(list_document(whole(found), dict))
    else:
        _print(found)


@entitlement.command()
@click.argument("value")
@tenant_option
@json_option
def show(value: str, tenant: str | None, as_program: bool) -> None:
    """Show the entitlement VALUE (or its id)."""
    with reading(tenant) as work:
        found = Entitlements(work).get(value)
    if as_program:
        print_json(found)
    else:
        _print([found])


@entitlement.command()
@click.argument("value")
@tenant_option
@json_option
def delete(value: str, tenant: str | None, as_program: bool) -> None:
    """Delete the entitlement VALUE (or its id); keys that are for nothing else are revoked for good."""
    with writing(tenant) as work:
        deleted = Entitlements(work).delete(value)
    if as_program:
        print_json(deleted)
    else:
        click.echo(f"Deleted the entitlement {deleted['value']} ({deleted['id']}).")


class Entitlements:
    """The entitlements of a tenant as SCIM documents, read and written as the provisioning face does."""

    def __init__(self, work: Work) -> None:
        dialect = DIALECTS[DEFAULT_DIALECT]
        self._provider = load_provider(dialect.policy, work.installation.settings.schemas_dir)
        self._service = DialectService(
            self._provider, dialect, max_body=work.installation.settings.max_body_bytes
        )
        self._storage = ViewStorage(work.unit, self._provider, dialect)
        self._unit = work.unit
        self._type = self._service.resource_type_at("/Entitlements")

    def create(self, document: dict[str, Any]) -> dict[str, Any]:
        """Create one.

        :raises Unable: when there is one of this value already, or it says what cannot be.
        :raises SCIMException: when the document is not what it must be.
        """
        with self._provider:
            asked = self._service.read_creation(
                self._type, json.dumps(document).encode(), "application/scim+json"
            )
            try:
                return _document(self._storage.create(self._type, asked))
            except UniquenessException as error:
                raise Unable(f"there is an entitlement {document['value']!r} already") from error
            except InvalidValueException as error:
                raise Unable(error.detail or "the entitlement cannot be so") from error

    def list(self) -> list[dict[str, Any]]:
        """Return all of them by their values."""
        found: list[dict[str, Any]] = []
        with self._provider:
            while True:
                wanted: SearchRequest[Any] = SearchRequest(start_index=len(found) + 1, count=_PAGE)
                page = self._storage.search([self._type], wanted)
                found.extend(_document(each) for each in page.resources)
                if not page.resources or len(found) >= (page.total or 0):
                    return sorted(found, key=lambda each: each["value"])

    def get(self, value_or_id: str) -> dict[str, Any]:
        """Return one.

        :raises Unable: when there is none of this value or id.
        """
        with self._provider:
            return _document(self._storage.get(self._type, self._id(value_or_id)))

    def delete(self, value_or_id: str) -> dict[str, Any]:
        """Delete one and return what it was.

        :raises Unable: when there is none of this value or id.
        """
        found = self.get(value_or_id)
        with self._provider:
            self._storage.delete(self._type, found["id"])
        return found

    def _id(self, value_or_id: str) -> str:
        return _one(
            self._unit,
            sa.select(entitlement_table.c.id).where(
                entitlement_table.c.tenant_id == self._unit.tenant_id,
                sa.or_(entitlement_table.c.value == value_or_id, entitlement_table.c.id == value_or_id),
            ),
            f"entitlement {value_or_id!r}",
        )


def _document(found: Resource[Any]) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(found.model_dump_json(scim_ctx=Context.RESOURCE_QUERY_RESPONSE))
    return document


def _group_id(unit: Unit, id_or_display: str) -> str:
    return _one(
        unit,
        sa.select(resource.c.id).where(
            resource.c.tenant_id == unit.tenant_id,
            resource.c.type == "Group",
            sa.or_(
                resource.c.id == id_or_display,
                resource.c.document["displayName"].as_string() == id_or_display,
            ),
        ),
        f"group {id_or_display!r}",
    )


def _one(unit: Unit, statement: sa.Select[tuple[str]], called: str) -> str:
    """Return the id that a statement finds.

    :raises Unable: when there is none, or several.
    """
    ids: list[str] = sorted(unit.execute(statement).scalars())
    if not ids:
        raise Unable(f"no {called}")
    if len(ids) > 1:
        raise Unable(f"more than one {called}: name it by its id, one of {', '.join(ids[:5])}")
    return ids[0]


def _without_empty(document: dict[str, Any]) -> dict[str, Any]:
    """Leave out what was not said."""
    told = {
        name: _without_empty(value) if isinstance(value, dict) else value for name, value in document.items()
    }
    return {name: value for name, value in told.items() if value not in (None, [], {})}


def _print(found: Sequence[dict[str, Any]]) -> None:
    print_table(
        ("entitlement", "id", "audience", "scopes", "conditions", "keys", "roles", "groups"),
        [_row(each) for each in found],
        nothing="No entitlements.",
    )


def _row(document: dict[str, Any]) -> tuple[object, ...]:
    conditions = document.get("conditions") or {}
    keys = document.get("keyPolicy") or {}
    lifetime = keys.get("lifetimeSeconds")
    lasts = f", for {duration(lifetime * 1_000_000)}" if lifetime is not None else ""
    return (
        document["value"],
        document["id"],
        document.get("audience"),
        " ".join(document.get("scopes") or []),
        ", ".join(_told(conditions)),
        f"{keys.get('issuance') or 'manual'}{lasts}",
        ", ".join(each["value"] for each in document.get("roles") or []),
        ", ".join(each.get("display") or each["value"] for each in document.get("groups") or []),
    )


def _told(conditions: dict[str, Any]) -> Iterator[str]:
    """Yield what conditions say, each as short as it can be told."""
    for name in NAMES:
        said = conditions.get(name)
        if name in ("notBefore", "notAfter") and said:
            yield f"{name} {said}"
        elif name == "cedar" and said:
            yield name
        elif isinstance(said, list) and said:
            yield " ".join(said) if name != "windows" else ", ".join(said)
        elif said:
            yield said
