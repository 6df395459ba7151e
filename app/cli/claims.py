"""``keysteward key claim`` and ``claim-link``: handing secrets out."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from app.cli.durations import seconds
from app.cli.failures import Unable
from app.cli.keys import key
from app.cli.printing import print_json, time
from app.cli.tenancy import Work, json_option, tenant_option, writing
from app.keys.claims import DEFAULT_LIFETIME, LONGEST_LIFETIME
from app.keys.lifecycle import Minting
from app.keys.recipients import Recipient, RecipientUnusable
from app.operator.claims import claim_answer, make_claim_link
from app.operator.claims_face import claim_link_document

_FILE = click.Path(dir_okay=False, path_type=Path)
_SECOND = 1_000_000


@key.command()
@click.argument("key_id", metavar="KEY")
@click.option("--to", "recipient", type=_FILE, help="File with a public JWK: the secret is encrypted to it.")
@click.option("--out", type=_FILE, help="New file for what is handed out, which only its owner can read.")
@tenant_option
@json_option
def claim(
    key_id: str, recipient: Path | None, out: Path | None, tenant: str | None, as_program: bool
) -> None:
    """Hand out the secret of KEY, which is done only once."""
    public = None if recipient is None else _recipient(recipient)
    with _new_file(out) as file, writing(tenant) as work:
        answered = claim_answer(work.unit, key_id, _minting(work), public)
        told = {**answered.document, "secret" if public is None else "jwe": answered.secret}
        text = json.dumps(told) if as_program else str(answered.secret)
        if file is not None:
            # Before the commit: a full disk must not lose the one time that the secret is handed out.
            os.write(file, f"{text}\n".encode())
            os.fsync(file)
    if out is not None:
        click.echo(f"Handed out to {out}.", err=True)
    elif as_program:
        print_json(told)
    else:
        what = "the secret" if public is None else "the secret, encrypted"
        click.echo(f"This is {what}; it is shown this once.", err=True)
        click.echo(text)


@key.command("claim-link")
@click.argument("key_id", metavar="KEY")
@click.option(
    "--expires-in",
    metavar="SPAN",
    callback=seconds(least=1, most=LONGEST_LIFETIME // _SECOND),
    default=f"{DEFAULT_LIFETIME // _SECOND // 3600}h",
    show_default=True,
    help="For how long it can be used; up to 7 days.",
)
@tenant_option
@json_option
def claim_link(key_id: str, expires_in: int, tenant: str | None, as_program: bool) -> None:
    """Make a link that shows the secret of KEY, once, to whoever follows it; older links for it end."""
    with writing(tenant) as work:
        made, token = make_claim_link(work.unit, key_id, _minting(work), lifetime=expires_in * _SECOND)
    document = claim_link_document(made, token, work.installation.settings.root_url)
    if as_program:
        print_json(document)
    else:
        click.echo(f"The link works once, until {time(made.expires_at)}. It is shown this once.", err=True)
        click.echo(document["url"])


def _minting(work: Work) -> Minting:
    settings = work.installation.settings
    return Minting(work.installation.peppers, settings.key_brand, settings.key_environment)


def _recipient(file: Path) -> Recipient:
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise Unable(f"cannot read {file}: {error.strerror}") from error
    except ValueError as error:
        raise Unable(f"{file} is not JSON") from error
    try:
        return Recipient.of(document if isinstance(document, dict) else {})
    except RecipientUnusable as error:
        raise Unable(f"{file}: {error}") from error


@contextmanager
def _new_file(path: Path | None) -> Iterator[int | None]:
    """Open a file that is not there yet; it goes again when nothing is handed out."""
    if path is None:
        yield None
        return
    try:
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise Unable(f"cannot make {path}: {error.strerror}") from error
    try:
        yield file
    except BaseException as error:
        path.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise Unable(f"cannot write {path}: {error.strerror}; nothing was handed out") from error
        raise
    finally:
        os.close(file)
