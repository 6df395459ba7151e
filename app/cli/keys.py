"""``keysteward key …`` and ``keysteward explain``."""

from __future__ import annotations

import click

from app.cli.durations import seconds
from app.cli.explaining import show_consumer, show_key
from app.cli.printing import print_json, print_table, time
from app.cli.receipts import show_receipts
from app.cli.tenancy import json_option, reading, tenant_option, writing
from app.keys.lifecycle import KeyUnknown, Minting
from app.keys.rotation import DEFAULT_OVERLAP
from app.operator import views
from app.operator.consumers import find_consumer, revoke_keys
from app.operator.key_search import KeyFilter, find_keys
from app.operator.keys import (
    REVOKED_BY_OPERATOR,
    KeyView,
    get_key,
    issue_key,
    revoke_key,
    rotate_key,
)
from app.operator.pages import DEFAULT_COUNT, MOST, Window
from app.operator.receipts import consumer_receipt, key_receipt
from app.rights.explain import explain as explain_key
from app.rights.explain import explain_consumer
from app.rights.standing import KeyState


@click.group()
def key() -> None:
    """List, issue, claim, rotate and revoke keys."""


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
@click.option(
    "--overlap",
    metavar="SPAN",
    callback=seconds(most=366 * 86_400),
    default=f"{DEFAULT_OVERLAP // 3_600_000_000}h",
    show_default=True,
    help="How long the present secret still works; 0: it ends at once, as after a leak.",
)
@tenant_option
@json_option
def rotate(key_id: str, overlap: int, tenant: str | None, as_program: bool) -> None:
    """Hand out a new secret of KEY, once; the present one works until the overlap is over."""
    with writing(tenant) as work:
        settings = work.installation.settings
        minting = Minting(work.installation.peppers, settings.key_brand, settings.key_environment)
        rotated = rotate_key(work.unit, key_id, minting, overlap=overlap * 1_000_000)
    if as_program:
        print_json({**views.rotation_document(key_id, rotated), "secret": rotated.secret.text})
    else:
        click.echo(f"The old secret ends at {time(rotated.ends_at)}.", err=True)
        click.echo("This is the new secret; it is shown this once.", err=True)
        click.echo(rotated.secret.text)


@key.command()
@click.argument("key_id", metavar="KEY", required=False)
@click.option("--user", metavar="NAME", help="All keys of one user, by id or userName.")
@click.option("--reason", metavar="TEXT", help="Why, for the record.")
@tenant_option
@json_option
def revoke(
    key_id: str | None, user: str | None, reason: str | None, tenant: str | None, as_program: bool
) -> None:
    """Revoke KEY, or all keys of a user, for good; nothing brings them back."""
    if (key_id is None) is (user is None):
        raise click.UsageError("Name a key, or a user with --user.")
    if user is not None:
        _revoke_all(user, reason, tenant, as_program)
        return
    assert key_id is not None
    with writing(tenant) as work:
        revoked = revoke_key(work.unit, key_id, reason)
    if as_program:
        print_json(views.key_document(revoked))
    else:
        click.echo(f"{revoked.id} is revoked since {time(revoked.revoked_at)}: {revoked.reason}")


@key.command()
@click.argument("key_id", metavar="KEY", required=False)
@click.option("--user", metavar="NAME", help="Of all keys of one user, by id or userName.")
@tenant_option
@json_option
def receipt(key_id: str | None, user: str | None, tenant: str | None, as_program: bool) -> None:
    """Show since when KEY, or each key of a user, is withdrawn, and by what."""
    if (key_id is None) is (user is None):
        raise click.UsageError("Name a key, or a user with --user.")
    with reading(tenant) as work:
        if user is not None:
            whole = consumer_receipt(work.unit, user)
            document, receipts = views.consumer_receipt_document(whole), whole.keys
        else:
            assert key_id is not None
            receipts = (key_receipt(work.unit, key_id),)
            document = views.receipt_document(receipts[0])
    if as_program:
        print_json(document)
    else:
        show_receipts(receipts)


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


def _revoke_all(user: str, reason: str | None, tenant: str | None, as_program: bool) -> None:
    with writing(tenant) as work:
        holder = revoke_keys(work.unit, user, reason or REVOKED_BY_OPERATOR)
        whole = consumer_receipt(work.unit, holder.id)
    if as_program:
        print_json(views.consumer_receipt_document(whole))
    else:
        show_receipts(whole.keys)


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
