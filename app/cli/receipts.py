"""Receipts as trees, for people."""

from __future__ import annotations

from collections.abc import Sequence

import click
from rich.tree import Tree

from app.cli.printing import plain, show
from app.operator.receipts import Cause, Receipt
from app.store.moments import rfc3339


def show_receipts(receipts: Sequence[Receipt]) -> None:
    """Print since when some keys are withdrawn, by what, and each of their secrets."""
    if not receipts:
        click.echo("No keys.")
    for receipt in receipts:
        tree = Tree(plain(f"key {receipt.key.id} of {receipt.key.user_name}: {receipt.key.state}"))
        tree.add(plain(_why(receipt.cause)))
        happened = None if receipt.cause is None else receipt.cause.event
        if happened is not None:
            entry = tree.add(plain(f"{happened.type} by {happened.actor}, transaction {happened.txn}"))
            entry.add(plain(f"entry {happened.sequence} of the ledger: event {happened.id}"))
        for secret in receipt.secrets:
            ended = "" if secret.ended_at is None else f", ended {rfc3339(secret.ended_at)}"
            if secret.ended_at is None and secret.denied_since is not None:
                ended = f", denied since {rfc3339(secret.denied_since)}"
            ends = "" if secret.ends_at is None else f", ends {rfc3339(secret.ends_at)}"
            tree.add(plain(f"secret {secret.id}, made {rfc3339(secret.created_at)}{ended}{ends}"))
        show(tree)


def _why(cause: Cause | None) -> str:
    if cause is None:
        return "not withdrawn"
    since = "" if cause.since is None else f" since {rfc3339(cause.since)}"
    return f"withdrawn{since} ({cause.code}): {cause.detail}"
