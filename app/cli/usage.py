"""``keysteward usage``, ``unused-keys``, ``dead-secrets``, ``new-networks`` and ``decisions``."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import click

from app.cli.durations import seconds
from app.cli.failures import Unable
from app.cli.printing import print_json, print_table, time
from app.cli.tenancy import json_option, reading, tenant_option
from app.keys.decisions import BatchChanged, Decision, DecisionFilter, PlaceInvalid, find_decisions
from app.keys.usage import KeyUsage, NetworkSeen, get_usage, new_networks, unused_keys, used_days
from app.keys.usage import dead_uses as find_dead_uses
from app.operator import views
from app.operator.pages import DEFAULT_COUNT, MOST, Page
from app.operator.usage_views import (
    decisions_document,
    network_document,
    usage_document,
    whole_usage_document,
)
from app.store.moments import EPOCH

_SECOND = 1_000_000
_LONGEST = 3660 * 86_400

_start_option = click.option(
    "--start", type=click.IntRange(min=1), default=1, show_default=True, help="The first to print."
)
_count_option = click.option(
    "--count",
    type=click.IntRange(0, MOST),
    default=DEFAULT_COUNT,
    show_default=True,
    help="How many to print.",
)


@click.command()
@click.argument("key_id", metavar="KEY")
@click.option("--days", type=click.IntRange(1, 3660), default=30, show_default=True, help="Of how many days.")
@tenant_option
@json_option
def usage(key_id: str, days: int, tenant: str | None, as_program: bool) -> None:
    """Show how KEY is used: when, how often, for what, with what outcome, from where."""
    with reading(tenant) as work:
        found = get_usage(work.unit, key_id)
        by_day = used_days(work.unit, key_id, days=days)
        _, networks = new_networks(work.unit, key_id=key_id, offset=0, limit=MOST)
    if as_program:
        print_json(whole_usage_document(found, by_day, networks))
        return
    click.echo(f"{found.key_id} of {found.user_name}")
    click.echo(
        f"  used    {found.allowed} times, first {_or_never(found.first_at)}, last {_or_never(found.last_at)}"
    )
    click.echo(f"  denied  {found.denied} times, last {_or_never(found.last_denied_at)}")
    click.echo(f"  of these as a dead secret: {found.dead_uses}\n")
    print_table(
        ("day", "outcome", "entitlement", "uses"),
        [
            (time(each.at)[:10], each.outcome, each.entitlement or each.entitlement_id, each.uses)
            for each in by_day
        ],
        nothing=f"No uses on the last {days} days.",
    )
    _print_networks(networks)


@click.command("unused-keys")
@click.option(
    "--for",
    "span",
    metavar="SPAN",
    callback=seconds(least=1, most=_LONGEST),
    default="90d",
    show_default=True,
    help="For how long they were not used.",
)
@_start_option
@_count_option
@tenant_option
@json_option
def unused(span: int, start: int, count: int, tenant: str | None, as_program: bool) -> None:
    """List keys that live and were not used for some time, or never since they were issued."""
    with reading(tenant) as work:
        since = work.unit.now - span * _SECOND
        total, found = unused_keys(work.unit, since=since, offset=start - 1, limit=count)
    _show_keys(total, start, found, as_program, nothing="No unused keys.")


@click.command("dead-secrets")
@_start_option
@_count_option
@tenant_option
@json_option
def dead_secrets(start: int, count: int, tenant: str | None, as_program: bool) -> None:
    """List keys of which somebody used a secret that is dead for good."""
    with reading(tenant) as work:
        total, found = find_dead_uses(work.unit, offset=start - 1, limit=count)
    _show_keys(total, start, found, as_program, nothing="No dead secret was used.")


@click.command("new-networks")
@click.option("--key", "key_id", metavar="KEY", help="Those of one key.")
@click.option(
    "--within",
    "span",
    metavar="SPAN",
    callback=seconds(least=1, most=_LONGEST),
    default="7d",
    show_default=True,
    help="How long ago they were first seen.",
)
@_start_option
@_count_option
@tenant_option
@json_option
def networks(
    key_id: str | None, span: int, start: int, count: int, tenant: str | None, as_program: bool
) -> None:
    """List the networks from which a key was used for the first time, the newest first."""
    with reading(tenant) as work:
        since = work.unit.now - span * _SECOND
        total, found = new_networks(work.unit, key_id=key_id, since=since, offset=start - 1, limit=count)
    if as_program:
        print_json(views.list_document(Page(total, start, tuple(found)), network_document))
        return
    _print_networks(found)
    _tell_rest(len(found), total, start)


@click.command()
@click.option("--key", "key_id", metavar="KEY", help="Those about one key.")
@click.option("--consumer", metavar="USER", help="Those about the keys of one user, by id.")
@click.option("--since", metavar="TIME", help="From a time on, such as 2026-01-31 or 2026-01-31T12:00:00Z.")
@click.option("--until", metavar="TIME", help="Before a time.")
@click.option("--after", metavar="PLACE", help="Go on where an earlier search ended.")
@_count_option
@tenant_option
@json_option
def decisions(
    key_id: str | None,
    consumer: str | None,
    since: str | None,
    until: str | None,
    after: str | None,
    count: int,
    tenant: str | None,
    as_program: bool,
) -> None:
    """List the gate's decisions as they were recorded; each is checked against its batch's digest."""
    wanted = DecisionFilter(key_id, consumer, _moment(since), _moment(until))
    with reading(tenant) as work:
        try:
            page = find_decisions(work.unit, wanted, after=after, limit=count)
        except (PlaceInvalid, BatchChanged) as error:
            raise Unable(str(error)) from error
    if as_program:
        print_json(decisions_document(page))
        return
    print_table(
        ("time", "outcome", "key", "method", "path", "client", "face", "decision"),
        [_decision_row(each) for each in page.found],
        nothing="No decisions.",
    )
    if page.after is not None:
        click.echo(f"There is more to search: --after {page.after}")


def _show_keys(total: int, start: int, found: Sequence[KeyUsage], as_program: bool, *, nothing: str) -> None:
    if as_program:
        print_json(views.list_document(Page(total, start, tuple(found)), usage_document))
        return
    print_table(
        ("key", "user", "created", "last used", "last denied", "allowed", "denied", "as a dead secret"),
        [
            (
                each.key_id,
                each.user_name,
                time(each.issued_at),
                _or_never(each.last_at),
                time(each.last_denied_at),
                each.allowed,
                each.denied,
                each.dead_uses,
            )
            for each in found
        ],
        nothing=nothing,
    )
    _tell_rest(len(found), total, start)


def _print_networks(seen: Sequence[NetworkSeen]) -> None:
    print_table(
        ("network", "key", "user", "first", "last", "uses"),
        [
            (each.network, each.key_id, each.user_name, time(each.first_at), time(each.last_at), each.uses)
            for each in seen
        ],
        nothing="No networks.",
    )


def _tell_rest(printed: int, total: int, start: int) -> None:
    if total > printed:
        click.echo(f"{printed} of {total}, from number {start}.")


def _decision_row(decision: Decision) -> tuple[object, ...]:
    record = decision.record
    return (
        time(record["at"]),
        "allow" if record["allowed"] else record["reason"],
        record["key"],
        record["method"],
        record["path"],
        record["client"],
        record["face"],
        record["id"],
    )


def _or_never(moment: int | None) -> str:
    return time(moment) or "never"


def _moment(text: str | None) -> int | None:
    if text is None:
        return None
    try:
        read = datetime.fromisoformat(text)
    except ValueError:
        raise click.BadParameter(f"{text!r} is no time such as 2026-01-31T12:00:00Z") from None
    return ((read if read.tzinfo else read.replace(tzinfo=UTC)) - EPOCH) // datetime.resolution
