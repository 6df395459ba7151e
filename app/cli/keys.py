"""``keysteward key …`` and ``keysteward explain``."""

from __future__ import annotations

import click

from app.cli.explaining import show_consumer, show_key
from app.cli.printing import print_json, print_table, time
from app.cli.tenancy import json_option, reading, tenant_option, writing
from app.keys.lifecycle import KeyUnknown, Minting
from app.operator import views
from app.operator.consumers import find_consumer
from app.operator.keys import KeyFilter, KeyView, claim_key, find_keys, get_key, issue_key, revoke_key
from app.operator.pages import DEFAULT_COUNT, MOST, Window
from app.rights.explain import explain as explain_key
from app.rights.explain import explain_consumer
from app.rights.standing import KeyState


@click.group()
def key() -> None:
    """List, issue, claim and revoke keys."""


@key.command("list")
@click.option("--consumer", metavar="USER", help="Those of one user: its id or userName.")
@click.option("--state", type=click.Choice([str(state) for state in KeyState]), help="Those in one state.")
@click.option("--entitlement", metavar="VALUE", help="Those for one entitlement: its value or id.")
@click.option("--start", type=click.IntRange(min=1), default=1, show_default=True, help="The first to print.")
@click.option(
    "--count",
    type=click.IntRange(0, MOST),
    default=DEFAULT_COUNT,
    show_default=True,
    help="How many to print.",
)
@tenant_option
@json_option
def list_(
    consumer: str | None,
    state: str | None,
    entitlement: str | None,
    start: int,
    count: int,
    tenant: str | None,
    as_program: bool,
) -> None:
    """List keys, oldest first."""
    wanted = KeyFilter(consumer, KeyState(state) if state else None, entitlement)
    with reading(tenant) as work:
        page = find_keys(work.unit, Window(start, count), wanted)
    if as_program:
        print_json(views.list_document(page, views.key_document))
        return
    print_table(
        ("key", "state", "user", "entitlements", "created", "expires", "reason"),
        [_row(each) for each in page.items],
        nothing="No keys.",
    )
    if page.total > len(page.items):
        click.echo(f"{len(page.items)} of {page.total} keys, from number {page.start}.")


@key.command()
@click.argument("user")
@click.argument("values", nargs=-1, required=True, metavar="ENTITLEMENT...")
@tenant_option
@json_option
def issue(user: str, values: tuple[str, ...], tenant: str | None, as_program: bool) -> None:
    """Issue a key to USER (id or userName) for entitlements that it holds now."""
    with writing(tenant) as work:
        made = issue_key(work.unit, user, values)
    if as_program:
        print_json(views.key_document(made))
    else:
        click.echo(f"Issued {made.id}. `keysteward key claim {made.id}` hands out its secret.")


@key.command()
@click.argument("key_id", metavar="KEY")
@tenant_option
@json_option
def claim(key_id: str, tenant: str | None, as_program: bool) -> None:
    """Hand out the secret of KEY, which is done only once."""
    with writing(tenant) as work:
        settings = work.installation.settings
        minting = Minting(work.installation.peppers, settings.key_brand, settings.key_environment)
        secret = claim_key(work.unit, key_id, minting)
    if as_program:
        print_json({"id": key_id, "secret": secret.text})
    else:
        click.echo("This is the secret; it is shown this once.", err=True)
        click.echo(secret.text)


@key.command()
@click.argument("key_id", metavar="KEY")
@click.option("--reason", metavar="TEXT", help="Why, for the record.")
@tenant_option
@json_option
def revoke(key_id: str, reason: str | None, tenant: str | None, as_program: bool) -> None:
    """Revoke KEY for good; nothing brings it back."""
    with writing(tenant) as work:
        revoked = revoke_key(work.unit, key_id, reason)
    if as_program:
        print_json(views.key_document(revoked))
    else:
        click.echo(f"{revoked.id} is revoked since {time(revoked.revoked_at)}: {revoked.reason}")


@click.command()
@click.argument("subject", metavar="KEY|USER")
@tenant_option
@json_option
def explain(subject: str, tenant: str | None, as_program: bool) -> None:
    """Say why a key works or does not, or what a user (id or userName) holds and why."""
    with reading(tenant) as work:
        try:
            explained = explain_key(work.unit, get_key(work.unit, subject).id)
        except KeyUnknown:
            holder = find_consumer(work.unit, subject)
            held = explain_consumer(work.unit, holder.id)
            if as_program:
                print_json(views.consumer_explanation_document(held))
            else:
                show_consumer(held)
            return
    if as_program:
        print_json(views.explanation_document(explained))
    else:
        show_key(explained)


def _row(key: KeyView) -> tuple[object, ...]:
    return (
        key.id,
        key.state,
        key.user_name,
        ", ".join(each.value or f"deleted: {each.id}" for each in key.entitlements),
        time(key.issued_at),
        time(key.expires_at),
        key.reason,
    )
