"""What Entra needs of a server, step by step of its provisioning service."""

from __future__ import annotations

from typing import Final

from conformance.company.journal import practice
from conformance.findings import Requirement


def _entra(identity: str, text: str) -> Requirement:
    return practice(f"entra-{identity}", "Microsoft Entra", text)


TEST_CONNECTION: Final = _entra(
    "test-connection", "A look-up of a random user and of a random group answers 200 and an empty list."
)
MATCH: Final = _entra("user-match", "A look-up by userName, externalId or address finds that user alone.")
CREATE: Final = _entra("user-create", "A user is made from Entra's body, nulls and meta included.")
UPDATE: Final = _entra("user-update", "One PATCH with an operation for each changed attribute is applied.")
UPDATE_DOTTED: Final = _entra(
    "user-update-dotted", "A PATCH without path whose value has dotted and URN-prefixed names is applied."
)
CLEAR: Final = _entra("user-clear", "An empty text as value clears an attribute.")
FILTERED: Final = _entra(
    "user-filtered-path", "A filtered path to a value that does not exist yet makes the value."
)
DISABLE: Final = _entra("user-disable", 'active as the text "False" disables; the user can still be read.')
DISABLE_FLAG: Final = _entra("user-disable-flag", "active as false disables; the user can still be read.")
RESTORE: Final = _entra("user-restore", "A disabled user is enabled under the same id.")
DELETE: Final = _entra("user-delete", "A user whose account is gone for good is deleted, in groups too.")
MANAGER: Final = _entra("manager", "A manager is set by an id on the URN path, and removed by an empty text.")
ROLES_SINGLE: Final = _entra("roles-single", "A value on the path of the primary role sets the one role.")
ROLES_COMPLEX: Final = _entra("roles-complex", "Roles that are JSON inside a text are added by their value.")
ROLES_ASSERTIVE: Final = _entra("roles-assertive", "replace of roles leaves those of the list.")

GROUP_CREATE: Final = _entra("group-create", "A group is made although it names an undeclared schema.")
GROUP_MATCH: Final = _entra("group-match", "A look-up by displayName finds the group and leaves members out.")
GROUP_RENAME: Final = _entra("group-rename", "A replaced displayName leaves the members as they are.")
MEMBERS_ADD: Final = _entra("members-add", "Members are added, one or many in a PATCH, by op Add.")
MEMBERS_REMOVE: Final = _entra(
    "members-remove", "Remove of members with a list as value removes those of the list, and no one else."
)
MEMBERS_REMOVE_FLAG: Final = _entra("members-remove-flag", "Members are removed by a filter for each.")
MEMBERS_AGAIN: Final = _entra(
    "members-again", "Adding who is a member, or removing who is none, succeeds and changes nothing."
)
GROUP_DELETE: Final = _entra("group-delete", "A deleted group is gone.")

RETRY: Final = _entra("retry", "What failed is accepted when it is sent again, up to 28 days later.")
BURST: Final = _entra("burst", "A burst of disables after a held-back cycle is applied whole.")
EQUAL_USERS: Final = _entra("directory-users", "In the end the users are those of the identity provider.")
EQUAL_GROUPS: Final = _entra("directory-groups", "In the end the groups are those of the identity provider.")

SCHEMAS: Final = _entra("harness-schemas", "/Schemas is a list of every mapped attribute, without nulls.")
NULL_UPDATE: Final = _entra(
    "harness-null-update", "PATCHed with an empty text or null, attributes are empty."
)
H_USER_CREATE: Final = _entra("harness-user-create", "A user is made and its userName comes back.")
H_USER_UPDATE: Final = _entra("harness-user-update", "Every PATCHed value is what GET shows.")
H_GROUP_CREATE: Final = _entra("harness-group-create", "A group is made and its displayName comes back.")
H_GROUP_UPDATE: Final = _entra("harness-group-update", "A PATCHed displayName is what GET shows.")
OAUTH: Final = _entra("harness-oauth", "OAuth client credentials give a token of 60 to 360 minutes.")
FEDERATED: Final = _entra("harness-federated-identity", "A federated identity is exchanged for a token.")
USER_PAGES: Final = _entra("harness-user-pages", "Pages of five users say the startIndex that was asked for.")
GROUP_PAGES: Final = _entra("harness-group-pages", "Pages of groups say the startIndex that was asked for.")
H_MANAGER: Final = _entra("harness-manager", "A manager is set, changed and removed on the URN path.")
