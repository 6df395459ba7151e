"""``keysteward brake …`` and ``keysteward connection brake``."""

from __future__ import annotations

import click

from app.access.connections import LONGEST_BRAKE_SPAN, set_brake
from app.cli.administration import connection
from app.cli.durations import seconds
from app.cli.printing import print_json, print_table, time
from app.cli.tenancy import json_option, reading, tenant_option, writing
from app.directory.brakes import Brake, Whereabouts, confirm, get_brake, list_brakes, release, whereabouts
from app.operator import views
from app.rights.words import duration

_SECOND = 1_000_000


@click.group()
def brake() -> None:
    """Decide what becomes of mass withdrawals: who was withdrawn is denied, but nothing is final yet."""


@brake.command("list")
@tenant_option
@json_option
def list_all_brakes(tenant: str | None, as_program: bool) -> None:
    """List the brakes that engaged: those that wait first."""
    with reading(tenant) as work:
        found = list_brakes(work.unit)
    if as_program:
        print_json(views.list_document(views.whole(found), views.brake_document))
        return
    print_table(
        ("brake", "connection", "engaged", "people", "uncounted", "of active", "decision", "holds until"),
        [
            (
                each.id,
                each.connection_name,
                time(each.engaged_at),
                str(each.people),
                str(each.uncounted),
                str(each.active),
                each.decision or "waits",
                time(each.holds_until),
            )
            for each in found
        ],
        nothing="No brake engaged.",
    )


@brake.command("show")
@click.argument("brake_id")
@tenant_option
@json_option
def show_brake(brake_id: str, tenant: str | None, as_program: bool) -> None:
    """Show the brake BRAKE_ID, and how many of its people are back."""
    with reading(tenant) as work:
        found, people = get_brake(work.unit, brake_id), whereabouts(work.unit, brake_id)
    _tell(found, people, as_program)


@brake.command("confirm")
@click.argument("brake_id")
@tenant_option
@json_option
def confirm_brake(brake_id: str, tenant: str | None, as_program: bool) -> None:
    """Say that the withdrawals were meant: keys whose recovery window is over are dead for good at once."""
    with writing(tenant) as work:
        found = confirm(work.unit, brake_id)
        people = whereabouts(work.unit, brake_id)
    _tell(found, people, as_program)


@brake.command("release")
@click.argument("brake_id")
@click.option(
    "--within",
    metavar="SPAN",
    callback=seconds(most=366 * 86_400),
    help="How long whoever comes back keeps the keys; by default the recovery window, a day at the least.",
)
@tenant_option
@json_option
def release_brake(brake_id: str, within: int | None, tenant: str | None, as_program: bool) -> None:
    """Say that the withdrawals were a mistake: whoever comes back in time keeps the keys."""
    with writing(tenant) as work:
        found = release(work.unit, brake_id, within=None if within is None else within * _SECOND)
        people = whereabouts(work.unit, brake_id)
    _tell(found, people, as_program)


@connection.command("brake")
@click.argument("name")
@click.option("--percent", type=click.IntRange(0, 100), help="Of the active consumers; 0: no brake.")
@click.option("--minimum", type=click.IntRange(min=1), help="How many people at the least.")
@click.option(
    "--within",
    metavar="SPAN",
    callback=seconds(most=LONGEST_BRAKE_SPAN // _SECOND),
    help="Withdrawals within this time count together.",
)
@tenant_option
@json_option
def brake_of(
    name: str,
    percent: int | None,
    minimum: int | None,
    within: int | None,
    tenant: str | None,
    as_program: bool,
) -> None:
    """Set from how many withdrawals on the brake of the connection NAME (or its id) engages."""
    if percent is None and minimum is None and within is None:
        raise click.UsageError("say what to set: --percent, --minimum or --within")
    span = None if within is None else within * _SECOND
    with writing(tenant) as work:
        changed = set_brake(work.unit, name, percent=percent, minimum=minimum, span=span)
    if as_program:
        print_json(views.connection_document(changed))
        return
    told = changed.brake
    if told.percent:
        click.echo(
            f"{changed.name}: the brake engages when {told.percent} % of the active consumers, and at least "
            f"{told.minimum}, are withdrawn within {duration(told.span)}."
        )
    else:
        click.echo(f"{changed.name}: the brake is off.")


def _tell(found: Brake, people: Whereabouts | None, as_program: bool) -> None:
    if as_program:
        print_json(views.whole_brake_document(found, people))
        return
    click.echo(f"{found.connection_name} withdrew {found.people} of {found.active} active consumers.")
    if found.uncounted:
        click.echo(f"Of {found.uncounted} more it is not counted yet.")
    if people is not None:
        click.echo(f"Waiting: {people.waiting}. Back: {people.back}. Deleted: {people.deleted}.")
    if found.decision is None:
        click.echo("It waits: nothing of that is final before it is confirmed or released.")
    elif found.decision == "released":
        click.echo(
            f"Released at {time(found.decided_at)}: who is back before {time(found.holds_until)} keeps keys."
        )
    else:
        click.echo(f"{found.decision.capitalize()} at {time(found.decided_at)}.")
