"""The direct tests of Microsoft's validation harness: those that go past the provisioning engine."""

from __future__ import annotations

from typing import Any, Final

from conformance.company.comparing import check
from conformance.company.journal import Journal, Skipped, expect, expect_status
from conformance.entra import requirements as needs
from conformance.entra.wire import ENTERPRISE, GROUP, USER, Wire
from conformance.rfc.expectations import member

_MAPPED: Final = ("userName", "active", "displayName", "title", "emails", "name", "addresses", "phoneNumbers")
_OPTIONAL: Final = ("title", "nickName", "displayName")
_USERS_OF_PAGES: Final = 11
_PAGE: Final = 5


class Harness:
    """Tries each of the tests on users and groups of its own."""

    def __init__(self, wire: Wire, journal: Journal, run: str) -> None:
        self._wire = wire
        self._journal = journal
        self._run = run
        self._made = 0

    def run(self) -> None:
        """Carry out all of the tests.

        :raises ServerUnreachable: when the server stops answering.
        """
        for requirement, step in (
            (needs.SCHEMAS, self._schemas),
            (needs.NULL_UPDATE, self._null_update),
            (needs.H_USER_CREATE, self._create_user),
            (needs.H_USER_UPDATE, self._update_user),
            (needs.H_GROUP_CREATE, self._create_group),
            (needs.H_GROUP_UPDATE, self._update_group),
            (needs.OAUTH, self._needs_credentials),
            (needs.FEDERATED, self._needs_credentials),
            (needs.USER_PAGES, self._page_users),
            (needs.GROUP_PAGES, self._page_groups),
            (needs.H_MANAGER, self._manage),
        ):
            self._journal.attempt(requirement, step)

    def _schemas(self) -> None:
        answer = self._wire.get("Schemas")
        expect_status(answer, 200)
        expect("null" not in _leaves(answer.document), "/Schemas has nulls")
        by_id = {str(each.get("id")).lower(): each for each in answer.resources}
        for urn in (USER, ENTERPRISE, GROUP):
            expect(urn.lower() in by_id, f"/Schemas does not list {urn}")
        names = {str(each.get("name")).lower() for each in by_id[USER.lower()].get("attributes") or []}
        lacking = [name for name in _MAPPED if name.lower() not in names]
        expect(not lacking, f"/Schemas does not declare {lacking}")

    def _null_update(self) -> None:
        identity = self._user(**dict.fromkeys(_OPTIONAL, "something"))
        for value in ("", None):
            given = [{"op": "Replace", "path": name, "value": "something"} for name in _OPTIONAL]
            expect_status(self._wire.patch(f"Users/{identity}", given), 200, 204)
            emptied = [{"op": "Replace", "path": name, "value": value} for name in _OPTIONAL]
            expect_status(self._wire.patch(f"Users/{identity}", emptied), 200, 204)
            check(self._wire.target, f"Users/{identity}", dict.fromkeys(_OPTIONAL))

    def _create_user(self) -> None:
        self._user()

    def _update_user(self) -> None:
        identity = self._user()
        wanted = {"title": "Changed", "name.familyName": "Changed", "displayName": "5555 555"}
        operations = [{"op": "Replace", "path": path, "value": value} for path, value in wanted.items()]
        expect_status(self._wire.patch(f"Users/{identity}", operations), 200, 204)
        check(self._wire.target, f"Users/{identity}", wanted)

    def _create_group(self) -> None:
        self._group()

    def _update_group(self) -> None:
        identity = self._group()
        name = self._name("renamed")
        operation = {"op": "Replace", "path": "displayName", "value": name}
        expect_status(self._wire.patch(f"Groups/{identity}", [operation]), 200, 204)
        check(self._wire.target, f"Groups/{identity}", {"displayName": name})

    def _needs_credentials(self) -> None:
        raise Skipped("the suite is given a token, and no client of the server's OAuth")

    def _page_users(self) -> None:
        for _ in range(_USERS_OF_PAGES):
            self._user()
        self._page("Users")

    def _page_groups(self) -> None:
        for _ in range(_USERS_OF_PAGES):
            self._group()
        self._page("Groups")

    def _page(self, path: str) -> None:
        for page in range(2):
            answer = self._wire.get(path, startIndex=page * _PAGE + 1, count=_PAGE)
            expect_status(answer, 200)
            said = answer.document.get("startIndex")
            expect(said == page * _PAGE + 1, f"page {page + 1} says startIndex {said!r}")
            expect(len(answer.resources) == _PAGE, f"page {page + 1} has {len(answer.resources)} resources")

    def _manage(self) -> None:
        identity, first, second = self._user(), self._user(), self._user()
        for manager in (first, second, ""):
            operation = {"op": "replace", "path": f"{ENTERPRISE}:manager", "value": manager}
            expect_status(self._wire.patch(f"Users/{identity}", [operation]), 200, 204)
            document = self._wire.get(f"Users/{identity}").document
            seen = member(document, f"{ENTERPRISE}:manager.value")
            expect((seen or "") == manager, f"manager.value should be {manager!r}, is {seen!r}")

    def _user(self, **attributes: Any) -> str:
        name = f"{self._name('user')}@{self._run}.example"
        body = {"schemas": [USER, ENTERPRISE], "userName": name, "active": True, **attributes}
        answer = self._wire.post("Users", body)
        expect_status(answer, 201, 200)
        expect(answer.document.get("userName") == name, f"userName is {answer.document.get('userName')!r}")
        return self._identity(answer.document)

    def _group(self) -> str:
        name = self._name("group")
        answer = self._wire.post("Groups", {"schemas": [GROUP], "displayName": name})
        expect_status(answer, 201, 200)
        shown = answer.document.get("displayName")
        expect(shown == name, f"displayName is {shown!r}")
        return self._identity(answer.document)

    def _identity(self, document: dict[str, Any]) -> str:
        identity = document.get("id")
        expect(isinstance(identity, str) and identity, "the answer has no id")
        return str(identity)

    def _name(self, kind: str) -> str:
        self._made += 1
        return f"harness-{kind}-{self._made}-{self._run}"


def _leaves(document: Any) -> set[str]:
    """Return ``null`` when it stands anywhere in a document."""
    if isinstance(document, dict):
        return set().union(*map(_leaves, document.values()))
    if isinstance(document, list):
        return set().union(*map(_leaves, document))
    return {"null"} if document is None else set()
