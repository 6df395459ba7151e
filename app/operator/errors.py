"""What can be wrong with what an operator asks for."""

from __future__ import annotations

from collections.abc import Sequence


class OperatorError(Exception):
    """Something that was asked for cannot be; the message says why, for people."""


class RequestInvalid(OperatorError):
    """A request, or a part of it, is not what it must be."""


class ConsumerUnknown(OperatorError):
    """The tenant has no such consumer."""


class SubjectAmbiguous(OperatorError):
    """A subject identifier fits several users, and it is not for us to choose."""


class GrantMissing(OperatorError):
    """A key was asked for without a grant for it.

    :ivar values: the entitlements that the consumer does not hold now.
    """

    def __init__(self, user_name: str, values: Sequence[str]) -> None:
        named = ", ".join(repr(value[:200]) for value in values)
        super().__init__(f"the user {user_name!r} does not hold {named} now")
        self.values = tuple(values)


class PlanTooLong(OperatorError):
    """Making a plan took longer than nobody else may be kept from writing."""


class SearchTooLong(OperatorError):
    """A search took longer than one may."""


class VersionOutdated(OperatorError):
    """A thing was changed since the caller read it."""
