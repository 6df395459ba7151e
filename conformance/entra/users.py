"""Users as Entra writes them: the body of a creation, and the operations of an update."""

from __future__ import annotations

import json
from typing import Any, Final

from conformance.company.comparing import Wanted
from conformance.company.people import DEPARTMENTS, Person
from conformance.entra.wire import ENTERPRISE, USER, RoleMapping, Wire

Operation = dict[str, Any]

_MAIL: Final = 'emails[type eq "work"].value'
_PHONE: Final = 'phoneNumbers[type eq "mobile"].value'
_POSTAL_CODE: Final = 'addresses[type eq "work"].postalCode'
_MANAGER: Final = f"{ENTERPRISE}:manager"
_ROLE_TYPE: Final = "WindowsAzureActiveDirectoryRole"


def creation(person: Person, mapping: RoleMapping, *, with_nulls: bool) -> dict[str, Any]:
    """Return the body of a POST; the manager comes later, when both users exist.

    :param with_nulls: whether attributes without a value are named, as null.
    """
    body: dict[str, Any] = {
        "schemas": [USER, ENTERPRISE],
        "externalId": person.key,
        "userName": person.user_name,
        "active": True,
        "displayName": person.display_name,
        "emails": [{"primary": True, "type": "work", "value": person.mail}],
        "meta": {"resourceType": "User"},
        "name": {
            "formatted": person.display_name,
            "familyName": person.family_name,
            "givenName": person.given_name,
        },
        "roles": initial_roles(person, mapping),
        ENTERPRISE: {"employeeNumber": person.employee_number, "department": person.department},
    }
    if person.title is not None:
        body["title"] = person.title
    if with_nulls:
        nulls = ("addresses", "phoneNumbers", "preferredLanguage", "title", "department", "manager")
        body = {**dict.fromkeys(nulls), **body}
    return body


def initial_roles(person: Person, mapping: RoleMapping) -> list[dict[str, Any]]:
    """Return the roles of a POST."""
    if mapping is RoleMapping.SINGLE:
        return [{"primary": True, "type": _ROLE_TYPE, "value": role} for role in sorted(person.roles)]
    name = "displayName" if mapping is RoleMapping.COMPLEX else "display"
    return [
        {"primary": False, "type": _ROLE_TYPE, name: role, "value": role} for role in sorted(person.roles)
    ]


def attributes(person: Person) -> dict[str, str | None]:
    """Return the mapped attributes with one value each, by the path that Entra writes them at."""
    return {
        "userName": person.user_name,
        "displayName": person.display_name,
        "name.formatted": person.display_name,
        "name.givenName": person.given_name,
        "name.familyName": person.family_name,
        "title": person.title,
        f"{ENTERPRISE}:department": person.department,
        _MAIL: person.mail,
        _PHONE: person.phone,
        _POSTAL_CODE: postal_code(person),
    }


def postal_code(person: Person) -> str:
    """Return where the person works."""
    known = person.department in DEPARTMENTS
    return f"5000{DEPARTMENTS.index(person.department) if known and person.department else 9}"


def updates(before: Person, person: Person, wire: Wire) -> list[Operation]:
    """Return the operations for the attributes that changed, roles and manager and ``active`` aside."""
    old, new = attributes(before), attributes(person)
    return _written({path: value for path, value in new.items() if value != old[path]}, old, wire)


def filtered(person: Person, wire: Wire) -> list[Operation]:
    """Return the operations that first write what a creation does not carry."""
    values = {path: attributes(person)[path] for path in (_PHONE, _POSTAL_CODE)}
    return _written({path: value for path, value in values.items() if value}, {}, wire)


def _written(changed: dict[str, str | None], old: dict[str, str | None], wire: Wire) -> list[Operation]:
    operations: list[Operation] = []
    together: dict[str, str] = {}
    for path, value in changed.items():
        if wire.flag and "[" not in path:
            together[path] = value or ""
        else:
            name = wire.op("replace" if old.get(path) else "add")
            operations.append({"op": name, "path": path, "value": value or ""})
    if together:
        operations.append({"op": "replace", "value": together})
    return operations


def activation(active: bool, wire: Wire) -> Operation:
    """Return the operation that switches an account on or off."""
    return {"op": wire.op("replace"), "path": "active", "value": active if wire.flag else str(active)}


def management(manager_id: str | None, wire: Wire) -> Operation:
    """Return the operation that sets a manager, or removes it with an empty text."""
    return {"op": wire.op("replace"), "path": _MANAGER, "value": manager_id or ""}


def role_operations(
    before: frozenset[str], roles: frozenset[str], mapping: RoleMapping, wire: Wire
) -> list[Operation]:
    """Return the operations that bring a user's roles to what the mapping makes of them."""
    if mapping is RoleMapping.ASSERTIVE:
        value = [
            {"primary": False, "type": _ROLE_TYPE, "display": role, "value": role} for role in sorted(roles)
        ]
        return [{"op": wire.op("replace"), "path": "roles", "value": value}]
    if mapping is RoleMapping.SINGLE:
        name = wire.op("replace" if before else "add")
        return [{"op": name, "path": 'roles[primary eq "True"].value', "value": role} for role in roles]
    added = [
        {"value": json.dumps({"id": f"06b07648-{role}", "value": role, "displayName": role})}
        for role in sorted(roles - before)
    ]
    return [{"op": wire.op("add"), "path": "roles", "value": added}]


def effective_roles(before: frozenset[str], assigned: frozenset[str], mapping: RoleMapping) -> frozenset[str]:
    """Return the roles that a user has on the server after a cycle, as each mapping works.

    Entra sends no null, so that a single role stays when its assignment ends; the complex mapping only adds.
    """
    if mapping is RoleMapping.ASSERTIVE:
        return assigned
    if mapping is RoleMapping.SINGLE:
        return frozenset(sorted(assigned)[:1]) or before
    return before | assigned


def plain(person: Person, manager_id: str | None) -> dict[str, Any]:
    """Return a whole user as the RFCs write it, to put right what a failed step left behind."""
    enterprise: dict[str, Any] = {"employeeNumber": person.employee_number, "department": person.department}
    if manager_id is not None:
        enterprise["manager"] = {"value": manager_id}
    body: dict[str, Any] = {
        "schemas": [USER, ENTERPRISE],
        "externalId": person.key,
        "userName": person.user_name,
        "active": person.active,
        "displayName": person.display_name,
        "name": {
            "formatted": person.display_name,
            "familyName": person.family_name,
            "givenName": person.given_name,
        },
        "emails": [{"primary": True, "type": "work", "value": person.mail}],
        "addresses": [{"type": "work", "postalCode": postal_code(person)}],
        "roles": [
            {"primary": len(person.roles) == 1, "type": _ROLE_TYPE, "value": role}
            for role in sorted(person.roles)
        ],
        ENTERPRISE: enterprise,
    }
    if person.title:
        body["title"] = person.title
    if person.phone:
        body["phoneNumbers"] = [{"type": "mobile", "value": person.phone}]
    return body


def wanted(person: Person, manager_id: str | None) -> Wanted:
    """Return what the server should say of a person."""
    return {
        "userName": person.user_name,
        "externalId": person.key,
        "active": person.active,
        "displayName": person.display_name,
        "name.formatted": person.display_name,
        "name.givenName": person.given_name,
        "name.familyName": person.family_name,
        "title": person.title,
        "emails": frozenset([person.mail]),
        "phoneNumbers": frozenset([person.phone] if person.phone else []),
        "addresses[].postalCode": frozenset([postal_code(person)]),
        f"{ENTERPRISE}:employeeNumber": person.employee_number,
        f"{ENTERPRISE}:department": person.department,
        f"{ENTERPRISE}:manager.value": manager_id,
        "roles": person.roles,
    }
