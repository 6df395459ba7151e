"""What can be wrong with a change to the directory. The faces translate these into their own errors."""

from __future__ import annotations


class DirectoryError(Exception):
    """A change that the directory refuses; nothing of it was kept."""


class ResourceUnknown(DirectoryError):
    """The tenant has no resource of this type and id."""


class RevisionOutdated(DirectoryError):
    """The resource was changed since the caller read it."""


class ValueTaken(DirectoryError):
    """Another resource holds a value that must be unique."""


class MembershipCycle(DirectoryError):
    """A group would become a member of itself."""


class MemberUnknown(DirectoryError):
    """A member, or a mapped group, is no user or group of the tenant."""


class PolicyInvalid(DirectoryError):
    """An entitlement's key policy says what cannot be followed."""


class ConditionsInvalid(DirectoryError):
    """An entitlement has a condition that nobody could judge."""


class MomentInvalid(DirectoryError):
    """A moment is no date and time with its zone (RFC 3339)."""


class ValueUnmatched(DirectoryError):
    """A value on a user names no known entitlement, and the tenant refuses such values."""


class PositionUnreadable(DirectoryError):
    """The position of a page is not one that this search can have given."""


class SponsorInvalid(DirectoryError):
    """A user cannot be the sponsor of a service user."""
