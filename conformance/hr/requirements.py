"""What has to be true after somebody joined, moved, left or came back, by the way it was said."""

from __future__ import annotations

from typing import Final

from conformance.company.journal import practice
from conformance.findings import Keyword, Requirement


def _standard(identity: str, section: str, text: str) -> Requirement:
    return Requirement(f"hr-{identity}", section, Keyword.MUST, text)


def _practice(identity: str, source: str, text: str) -> Requirement:
    return practice(f"hr-{identity}", source, text)


JOIN: Final = _standard("join", "RFC 7644 §3.3", "A joiner is made with everything that HR knows.")
JOIN_EARLY: Final = _standard(
    "join-before-first-day", "RFC 7644 §3.3", "A joiner made inactive is inactive until HR activates them."
)
JOIN_WITH_START: Final = _practice("join-start-date", "HR", "A joiner's first day is kept with the user.")

MOVE_PATHS: Final = _standard(
    "move-patch-paths", "RFC 7644 §3.5.2", "A mover's changed attributes, each at its path, are applied."
)
MOVE_PATHLESS: Final = _standard(
    "move-patch-pathless", "RFC 7644 §3.5.2.3", "A PATCH without path changes what it names and nothing else."
)
MOVE_PUT: Final = _standard("move-put", "RFC 7644 §3.5.1", "A PUT of the whole record leaves that record.")
ROLES_PATCH: Final = _standard(
    "roles-replaced", "RFC 7644 §3.5.2.3", "A replaced list of roles leaves those of the list."
)
ROLES_PUT: Final = _standard(
    "roles-put", "RFC 7644 §3.5.1", "A role that a PUT of the user no longer has is gone."
)
RIGHTS_PATCH: Final = _standard(
    "entitlements-removed-by-filter", "RFC 7644 §3.5.2.2", "An entitlement that a filter names is removed."
)
RIGHTS_PUT: Final = _standard(
    "entitlements-put", "RFC 7644 §3.5.1", "An entitlement that a PUT of the user no longer has is gone."
)

LEAVE_PATHLESS: Final = _standard(
    "leave-patch-pathless", "RFC 7644 §3.5.2.3", "A PATCH without path makes a leaver inactive."
)
LEAVE_PATH: Final = _standard(
    "leave-patch-path", "RFC 7644 §3.5.2.3", "replace of active by false makes a leaver inactive."
)
LEAVE_TEXT: Final = _practice(
    "leave-patch-text", "Microsoft Entra", 'Replace of active by the text "False" makes a leaver inactive.'
)
LEAVE_PUT: Final = _standard(
    "leave-put", "RFC 7644 §3.5.1", "A PUT with active false makes a leaver inactive."
)
LEAVE_DELETE: Final = _standard(
    "leave-delete", "RFC 7644 §3.6", "A leaver is deleted while still active, and answers 404 then."
)
LEAVE_DELETE_GROUPS: Final = _practice(
    "leave-delete-groups", "Google Workspace", "No group has a deleted user as a member."
)
LEAVE_DATE: Final = _practice("leave-end-date", "HR", "A leaver's last moment is kept with the user.")
LEAVE_AGAIN: Final = _practice(
    "leave-again", "HR", "The same said again, as a retry does, succeeds and leaves the leaver inactive."
)
DELETE_AGAIN: Final = _standard(
    "delete-again", "RFC 7644 §3.6", "Whatever is asked of a deleted user answers 404."
)
STILL_FOUND: Final = _practice(
    "leaver-found", "Microsoft Entra", "A disabled user is found by userName, and not among the active."
)

BACK_PATHLESS: Final = _standard(
    "return-patch-pathless",
    "RFC 7644 §3.5.2.3",
    "A PATCH without path brings a re-hire back under the same id.",
)
BACK_TEXT: Final = _practice(
    "return-patch-text", "Microsoft Entra", 'The text "True" brings a re-hire back under the same id.'
)
BACK_PUT: Final = _standard(
    "return-put", "RFC 7644 §3.5.1", "A PUT with active true brings a re-hire back under the same id."
)
BACK_DATE: Final = _practice("return-end-date", "HR", "An end date is taken away again.")
BACK_NEW: Final = _standard(
    "return-after-delete",
    "RFC 7643 §3.1",
    "Made again under an old userName, a user gets an id never seen before.",
)

GROUP_CREATE: Final = _standard("group-create", "RFC 7644 §3.3", "A group is made with its first members.")
GROUP_DELTA: Final = _standard(
    "group-delta",
    "RFC 7644 §3.5.2",
    "Who moved leaves the old group and joins the new one; no one else moves.",
)
GROUP_PUT: Final = _standard(
    "group-put", "RFC 7644 §3.5.1", "A PUT of a group leaves the name and members sent."
)
GROUP_DELETE: Final = _standard(
    "group-delete", "RFC 7644 §3.6", "A dissolved group is gone, its people are not."
)

INBOUND: Final = _practice(
    "inbound-all",
    "Microsoft Entra",
    "A reader that takes people over finds every active user, by pages, with dates of seven digits.",
)
INBOUND_NEW: Final = _practice(
    "inbound-changed",
    "Microsoft Entra",
    "A reader that comes back finds every active user that changed since, by meta.lastModified.",
)
EQUAL_USERS: Final = _practice("directory-users", "HR", "In the end the users are those that HR knows.")
EQUAL_GROUPS: Final = _practice("directory-groups", "HR", "In the end the groups are those that HR knows.")
