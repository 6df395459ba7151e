"""What can be wrong with a request about tenants, connections and credentials."""

from __future__ import annotations


class AccessError(Exception):
    """Something that was asked for cannot be; the message says why, for people."""


class NameInvalid(AccessError):
    """A name is empty, too long, or holds characters that a name may not hold."""


class NameTaken(AccessError):
    """Another one of that name exists."""


class SettingInvalid(AccessError):
    """A setting of a tenant or a connection is out of its range."""


class TenantMissing(AccessError):
    """No tenant has this name or id."""


class ConnectionMissing(AccessError):
    """The tenant has no connection of this name or id."""


class ConnectionDisabled(AccessError):
    """The connection is disabled, for good."""


class CredentialMissing(AccessError):
    """The tenant has no credential with this id."""


class CredentialInvalid(AccessError):
    """A credential cannot be issued like this."""


class CredentialEnded(AccessError):
    """The credential is known but opens nothing any more; the message says why.

    Only someone who holds its token learns that, so it tells a stranger nothing.
    """
