"""The first start: a tenant, a connection and three tokens, shown once."""

from __future__ import annotations

import datetime
import shutil
import sys
from dataclasses import dataclass
from typing import Final

from app.access.connections import create_connection, get_connection
from app.access.credentials import issue_credential
from app.access.errors import NameTaken
from app.access.tenants import founding, get_tenant, list_tenants
from app.cli.installation import Installation, actor
from app.store.peppers import Peppers
from app.store.unit_of_work import Unit

DEFAULT_NAME: Final = "default"
DEFAULT_DIALECT: Final = "field"


@dataclass(frozen=True)
class Tokens:
    """The tokens of the default tenant; ``expires_at`` in microseconds."""

    scim: str
    operator: str
    gate: str
    expires_at: int


def found_default_tenant(installation: Installation) -> Tokens | None:
    """Make the default tenant with a connection and tokens, all or nothing; None when there is any tenant."""
    if list_tenants(installation.store):
        return None
    try:
        with founding(installation.store, DEFAULT_NAME, actor=actor()) as unit:
            connection = create_connection(unit, DEFAULT_NAME, DEFAULT_DIALECT)
            return _issue(unit, installation.peppers, connection.id)
    except NameTaken:  # another process was first
        return None


def issue_new_tokens(installation: Installation) -> Tokens:
    """Issue tokens for the default tenant beside those that it has.

    :raises TenantMissing: when there is no default tenant.
    :raises ConnectionMissing: when it has no default connection.
    :raises ConnectionDisabled: when that is disabled.
    """
    tenant = get_tenant(installation.store, DEFAULT_NAME)
    with installation.store.writing(tenant.id, actor=actor()) as unit:
        return _issue(unit, installation.peppers, get_connection(unit, DEFAULT_NAME).id)


def as_json(tokens: Tokens, root_url: str) -> dict[str, dict[str, str]]:
    """Return where to go with which token, for scripts."""
    return {
        "scim": {"url": f"{root_url}/scim/v2", "token": tokens.scim},
        "operator": {"url": f"{root_url}/operator/v1", "token": tokens.operator},
        "gate": {"url": f"{root_url}/gate/verify", "token": tokens.gate},
    }


def as_text(tokens: Tokens, root_url: str) -> str:
    """Return where to go with which token, and what to try next, for people."""
    expiry = datetime.datetime.fromtimestamp(tokens.expires_at / 1_000_000, datetime.UTC).date()
    command = _command()
    return f"""\
Keysteward is set up, with the tenant "{DEFAULT_NAME}".
These tokens are shown this once; they expire on {expiry}.

  For Okta or Entra
    SCIM base URL   {root_url}/scim/v2     (Entra: Tenant URL)
    Bearer token    {tokens.scim}     (Entra: Secret Token)

  For operators     {root_url}/operator/v1
    Operator token  {tokens.operator}

  For gateways      {root_url}/gate/verify
    Gate token      {tokens.gate}

Try next, in another terminal:

  {command} tour
  {command} entitlement create orders-read --issuance automatic --scope orders.read
  echo 'Authorization: Bearer {tokens.scim}' | curl -sH @- {root_url}/scim/v2/Users
"""


def _issue(unit: Unit, peppers: Peppers, connection_id: str) -> Tokens:
    scim, scim_token = issue_credential(
        unit, peppers, label="identity provider", scopes=["scim"], connection_id=connection_id
    )
    _, operator_token = issue_credential(unit, peppers, label="operator", scopes=["operator"])
    _, gate_token = issue_credential(unit, peppers, label="gateway", scopes=["gate"])
    return Tokens(scim_token, operator_token, gate_token, scim.expires_at)


def _command() -> str:
    """How this command can be typed: by its name where the shell finds it, else by its path."""
    if shutil.which("keysteward") is not None:
        return "keysteward"
    return sys.argv[0] if sys.argv[0].endswith("keysteward") else f"{sys.executable} -m app.cli"
