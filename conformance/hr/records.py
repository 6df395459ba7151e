"""People as an HR system writes them, and what of that a server announces it can hold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from conformance.company.comparing import Wanted
from conformance.company.people import Person
from conformance.exchange import Target

USER: Final = "urn:ietf:params:scim:schemas:core:2.0:User"
ENTERPRISE: Final = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
GROUP: Final = "urn:ietf:params:scim:schemas:core:2.0:Group"
ACCESS: Final = "urn:keysteward:scim:schemas:extension:1.0:Consumer"


@dataclass(frozen=True)
class Announced:
    """What the server says it can hold of a person, beyond what every server can."""

    roles: bool
    entitlements: bool
    enterprise: bool
    access: bool
    """Whether a user can have the moments between which access is given."""


def announced(target: Target) -> Announced:
    """Return what ``/Schemas`` lists; nothing when it cannot be read."""
    listed = {str(each.get("id")).lower(): each for each in target.get("Schemas").resources}
    attributes = listed.get(USER.lower(), {}).get("attributes")
    names = {
        str(each.get("name")).lower()
        for each in (attributes if isinstance(attributes, list) else [])
        if isinstance(each, Mapping)
    }
    return Announced(
        roles="roles" in names,
        entitlements="entitlements" in names,
        enterprise=ENTERPRISE.lower() in listed,
        access=ACCESS.lower() in listed,
    )


@dataclass(frozen=True)
class Record:
    """One person as the server should have them."""

    person: Person
    active: bool
    manager_id: str | None = None
    starts_at: str | None = None
    """The first moment of access (RFC 3339); None when none is said."""

    ends_at: str | None = None
    """The first moment without access (RFC 3339); None when none is said."""

    def values(self, server: Announced) -> dict[str, Any]:
        """Return every attribute by the path it is written at, None for those without a value."""
        person = self.person
        found: dict[str, Any] = {
            "userName": person.user_name,
            "externalId": person.key,
            "name": {"givenName": person.given_name, "familyName": person.family_name},
            "displayName": person.display_name,
            "title": person.title,
            "userType": "Contractor" if person.contractor else "Employee",
            "active": self.active,
            "emails": [{"value": person.mail, "type": "work", "primary": True}],
            "phoneNumbers": [{"value": person.phone, "type": "work"}] if person.phone else None,
        }
        if server.roles:
            found["roles"] = [{"value": each} for each in sorted(person.roles)] or None
        if server.entitlements:
            found["entitlements"] = [{"value": each} for each in sorted(person.rights)] or None
        if server.enterprise:
            found[f"{ENTERPRISE}:employeeNumber"] = person.employee_number
            found[f"{ENTERPRISE}:department"] = person.department
            found[f"{ENTERPRISE}:manager"] = {"value": self.manager_id} if self.manager_id else None
        if server.access:
            found[f"{ACCESS}:accessStartsAt"] = self.starts_at
            found[f"{ACCESS}:accessEndsAt"] = self.ends_at
        return found

    def creation(self, server: Announced) -> dict[str, Any]:
        """Return the body of a POST."""
        return nested({path: value for path, value in self.values(server).items() if value is not None})

    def replacement(self, server: Announced) -> dict[str, Any]:
        """Return the body of a PUT: what has no value is named as null, so that nothing is left open."""
        return nested(self.values(server))

    def wanted(self, server: Announced) -> Wanted:
        """Return what the server should say."""
        expected: dict[str, Any] = {}
        for path, value in self.values(server).items():
            if path in ("emails", "phoneNumbers", "roles", "entitlements"):
                expected[path] = frozenset(each["value"] for each in value or ())
            elif path == "name":
                expected |= {f"name.{sub}": text for sub, text in value.items()}
            elif path.endswith(":manager"):
                expected[f"{path}.value"] = self.manager_id
            else:
                expected[path] = value
        return expected


def nested(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return attributes by path as a resource, those of extensions in their containers."""
    body: dict[str, Any] = {"schemas": [USER]}
    for path, value in values.items():
        urn, _, name = path.rpartition(":")
        if not urn:
            body[name] = value
            continue
        if urn not in body:
            body["schemas"].append(urn)
        body.setdefault(urn, {})[name] = value
    return body
