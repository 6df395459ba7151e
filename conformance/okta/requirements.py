"""What Okta needs of a server, step by step of its connector."""

from __future__ import annotations

from typing import Final

from conformance.company.journal import practice
from conformance.findings import Requirement


def _okta(identity: str, text: str) -> Requirement:
    return practice(f"okta-{identity}", "Okta", text)


LOOK_UP: Final = _okta("user-lookup", "A look-up of an unknown userName answers an empty list, or 404.")
CREATE: Final = _okta(
    "user-create", "A user is made from a body with a placeholder password and empty groups, and returned."
)
CREATE_AGAIN: Final = _okta("user-create-again", "A second user of the same userName is refused with 409.")
MATCH: Final = _okta("user-match", "The look-up finds the user of a userName, and no other.")
TAKE_OVER: Final = _okta(
    "user-take-over", "A deactivated user that the look-up finds is brought back for a re-hire, under its id."
)
UPDATE: Final = _okta("user-update", "The whole user, as it was read, is put back with changed attributes.")
DEACTIVATE_PUT: Final = _okta("user-deactivate-put", "A PUT of the user with active false deactivates it.")
DEACTIVATE_PATCH: Final = _okta("user-deactivate-patch", "A PATCH without path deactivates a user.")
ACTIVATE_PUT: Final = _okta("user-activate-put", "A PUT of the whole user with active true brings it back.")
ACTIVATE_PATCH: Final = _okta("user-activate-patch", "A PATCH without path brings a user back under its id.")
PASSWORD: Final = _okta(
    "user-password-sync", "A PATCH without path that sets a password is accepted, and no answer shows it."
)
IMPORT: Final = _okta("import", "Pages of 100 users add up to totalResults, in an order that stays.")

GROUP_CREATE: Final = _okta("group-create", "A group without members is made.")
GROUP_LOOK_UP: Final = _okta("group-lookup", "The look-up by displayName finds the group.")
GROUP_RENAME: Final = _okta(
    "group-rename", "A PATCH without path, the read-only id in it, renames a group and keeps its members."
)
GROUP_DELTA: Final = _okta(
    "group-delta", "One PATCH removes members by filters, then adds others, and touches no one else."
)
GROUP_AGAIN: Final = _okta("group-delta-again", "The same changes of members sent again change nothing.")
GROUP_FULL: Final = _okta("group-full-push", "replace of members by the whole list leaves that list.")
GROUP_EMPTY: Final = _okta("group-empty-push", "replace of members by an empty list empties the group.")
GROUP_PUT: Final = _okta("group-put", "A PUT of the name and all members sets both.")
GROUP_UNKNOWN: Final = _okta(
    "group-unknown-member",
    "An id that no user has does not lose the other new members: Okta does not repeat a refused push.",
)
GROUP_DELETE: Final = _okta("group-delete", "A deleted group is gone.")

DISCOVERY: Final = _okta(
    "entitlement-discovery", "/ResourceTypes lists the types, and each page has as many values as it says."
)
ASSIGN: Final = _okta(
    "entitlement-assign", "The entitlements and roles in a PUT of a user are those that the user has then."
)
EQUAL_USERS: Final = _okta("directory-users", "In the end the users are those of the identity provider.")
EQUAL_GROUPS: Final = _okta("directory-groups", "In the end the groups are those of the identity provider.")
