"""``keysteward plan``: what requests of an identity provider would do, without doing it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any, TextIO

import click

from app.cli.durations import seconds
from app.cli.failures import Unable
from app.cli.printing import print_json, print_table
from app.cli.tenancy import chosen_tenant, json_option, opened, tenant_option
from app.operator.plan import Named, Plan, Planned, PlannedGrant, PlannedKey, ScimRequest
from app.operator.plan_requests import read_request, request_without
from app.operator.plan_views import plan_document
from app.operator.planner import DEFAULT_SHOWN, LONGEST_PATIENCE, MOST_SHOWN, PATIENCE, Planner
from app.rights.moves import KeyChange
from app.scim.dialects import DIALECTS
from app.scim.rehearsal import rehearsal_of
from app.store.unit_of_work import Unit

_WORDS = {
    KeyChange.issued: "would issue",
    KeyChange.dormant: "would fall dormant",
    KeyChange.restored: "would work again",
    KeyChange.revoked: "would be revoked for good",
    KeyChange.expired: "would expire",
    KeyChange.narrowed: "would do less",
    KeyChange.widened: "would do more",
}


@click.command()
@click.argument("file", type=click.File(encoding="utf-8"), required=False)
@click.option("--without-group", metavar="NAME", help="What if this group went: its displayName or id.")
@click.option("--without-user", metavar="NAME", help="What if this user were deleted: its userName or id.")
@click.option(
    "--without-entitlement", metavar="VALUE", help="What if this entitlement went: its value or id."
)
@click.option("--dialect", type=click.Choice(sorted(DIALECTS)), help="Of the connection that would send it.")
@click.option("--connection", metavar="NAME", help="The connection that would send it, with its brake.")
@click.option(
    "--shown",
    type=click.IntRange(0, MOST_SHOWN),
    default=DEFAULT_SHOWN,
    show_default=True,
    help="How many items of each list to print; the totals count all.",
)
@click.option(
    "--patience",
    metavar="SPAN",
    callback=seconds(least=1, most=LONGEST_PATIENCE),
    default=f"{PATIENCE}s",
    show_default=True,
    help="For how long others may be kept from writing.",
)
@tenant_option
@json_option
def plan(
    file: TextIO | None,
    without_group: str | None,
    without_user: str | None,
    without_entitlement: str | None,
    dialect: str | None,
    connection: str | None,
    shown: int,
    patience: int,
    tenant: str | None,
    as_program: bool,
) -> None:
    """Say what requests of an identity provider would do to grants and keys, without doing it.

    FILE ("-": the standard input) holds one request as JSON, {"method", "path", "body"}, a list of them, or
    one on each line.
    """
    without = {"group": without_group, "user": without_user, "entitlement": without_entitlement}
    named = [(kind, called) for kind, called in without.items() if called is not None]
    if len(named) + (file is not None) != 1:
        raise click.UsageError("give a FILE or one of the options --without-…")
    with opened() as installation:
        requests = _deleting(*named[0]) if file is None else _reading(file)
        settings = installation.settings
        rehearsal = rehearsal_of(settings.schemas_dir, max_body=settings.max_body_bytes)
        planner = Planner(installation.store, rehearsal, tuple(DIALECTS))
        tenant_id = chosen_tenant(installation.store, tenant).id
        made = planner.plan(
            tenant_id, requests, dialect=dialect, connection=connection, shown=shown, patience=patience
        )
    if as_program:
        print_json(plan_document(made))
    else:
        _show(made)


def _deleting(kind: str, called: str) -> Callable[[Unit], list[ScimRequest]]:
    return lambda unit: [request_without(unit, kind, called)]


def _reading(file: TextIO) -> Callable[[Unit], list[ScimRequest]]:
    try:
        read = [read_request(each) for each in _values(file.read())]
    except UnicodeDecodeError as error:
        raise Unable(f"{file.name} is not UTF-8") from error
    return lambda _unit: read


def _values(text: str) -> list[Any]:
    """Return the requests in a JSON value or list, or in lines of one JSON value each."""
    try:
        whole = json.loads(text)
    except json.JSONDecodeError as error:
        lines = [line for line in text.splitlines() if line.strip()]
        if len(lines) < 2:
            raise Unable(f"the request is not JSON: {error}") from error
        return [_value(number, line) for number, line in enumerate(lines, start=1)]
    return whole if isinstance(whole, list) else [whole]


def _value(number: int, line: str) -> Any:
    try:
        return json.loads(line)
    except json.JSONDecodeError as error:
        raise Unable(f"request {number} is not JSON: {error.msg} at column {error.colno}") from error


def _show(made: Plan) -> None:
    totals = made.totals
    keys = ", ".join(f"{number} {_WORDS[change]}" for change, number in sorted(totals.keys.items()))
    click.echo(
        f"{totals.consumers} consumers; grants: {totals.gained} gained, {totals.lost} lost; "
        f"keys: {keys or 'none'}; {sum(totals.events.values())} events. Nothing was done."
    )
    _show_part(
        "Requests", ("request", "answer", "error"), map(_request_row, made.requests), len(made.requests)
    )
    of_grant = ("user", "entitlement", "because of")
    _show_part("Grants gained", of_grant, map(_grant_row, made.gained), totals.gained)
    _show_part("Grants lost", of_grant, map(_grant_row, made.lost), totals.lost)
    of_key = ("key", "user", "what", "before", "after", "entitlements", "loses", "gains", "reason")
    _show_part("Keys", of_key, map(_key_row, made.keys), sum(totals.keys.values()))


def _show_part(title: str, columns: tuple[str, ...], rows: Iterable[tuple[object, ...]], total: int) -> None:
    shown = list(rows)
    if total:
        click.echo(f"\n{title}" + (f" ({len(shown)} of {total})" if len(shown) < total else ""))
    if shown:
        print_table(columns, shown, nothing="")


def _request_row(planned: Planned) -> tuple[object, ...]:
    answer = planned.answer
    told = " ".join(each for each in (answer.scim_type, answer.detail) if each)
    refused = [
        f"operation {place}: {each.status}"
        for place, each in enumerate(answer.operations, 1)
        if each.status >= 400
    ]
    return (
        f"{planned.request.method} {planned.request.path}",
        answer.status,
        "; ".join([told, *refused]).strip("; "),
    )


def _grant_row(grant: PlannedGrant) -> tuple[object, ...]:
    reasons = [
        each.reason if each.reason == "direct" else f"{each.reason} {_name(each.via)}"
        for each in grant.reasons
    ]
    return grant.consumer.name, _name(grant.entitlement), ", ".join(reasons)


def _key_row(key: PlannedKey) -> tuple[object, ...]:
    return (
        key.id or "(new)",
        key.consumer.name,
        _WORDS[key.change],
        key.before,
        key.after,
        *(", ".join(map(_name, some)) for some in (key.entitlements, key.lost, key.gained)),
        key.reason,
    )


def _name(thing: Named) -> str:
    return thing.name or thing.id or ""
