"""Users as Okta writes them."""

from __future__ import annotations

from typing import Any

from conformance.company.comparing import Wanted
from conformance.company.people import Person
from conformance.okta.entitlements import Catalogue
from conformance.okta.wire import ENTERPRISE, USER


def profile(person: Person) -> dict[str, Any]:
    """Return the attributes that Okta maps, those without a value left out."""
    mapped: dict[str, Any] = {
        "userName": person.user_name,
        "name": {"givenName": person.given_name, "familyName": person.family_name},
        "emails": [{"primary": True, "value": person.mail, "type": "work"}],
        "displayName": person.display_name,
        "locale": "en-US",
        "externalId": person.key,
        "userType": "Contractor" if person.contractor else "Employee",
        ENTERPRISE: {"employeeNumber": person.employee_number, "department": person.department},
    }
    if person.title is not None:
        mapped["title"] = person.title
    if person.phone is not None:
        mapped["phoneNumbers"] = [{"primary": True, "value": person.phone, "type": "work"}]
    return mapped


def creation(person: Person) -> dict[str, Any]:
    """Return the body of a POST: the password stands for none, and is sent all the same."""
    return {
        "schemas": [USER, ENTERPRISE],
        **profile(person),
        "groups": [],
        "password": f"1mz0{person.employee_number}nq",
        "active": True,
    }


def replacement(read: dict[str, Any], person: Person, catalogue: Catalogue) -> dict[str, Any]:
    """Return the body of a PUT: what was read, ``id`` and ``meta`` included, with the attributes of now."""
    mapped = profile(person)
    kept = {name: value for name, value in read.items() if name not in ("title", "phoneNumbers")}
    body = {**kept, **mapped, "schemas": [USER, ENTERPRISE], "groups": [], "active": person.active}
    body["emails"] = [{**each, "display": person.mail} for each in mapped["emails"]]
    if catalogue.entitlements:
        body["entitlements"] = [catalogue.entitlements[each] for each in sorted(rights_of(person, catalogue))]
    if catalogue.roles:
        body["roles"] = [catalogue.roles[each] for each in sorted(roles_of(person, catalogue))]
    return body


def wanted(person: Person, catalogue: Catalogue, *, assigned: bool) -> Wanted:
    """Return what the server should say of a person.

    :param assigned: whether entitlements and roles were written already.
    """
    expected: dict[str, Any] = {
        "userName": person.user_name,
        "externalId": person.key,
        "name.givenName": person.given_name,
        "name.familyName": person.family_name,
        "displayName": person.display_name,
        "active": person.active,
        "title": person.title,
        "emails": frozenset([person.mail]),
        "phoneNumbers": frozenset([person.phone] if person.phone else []),
        f"{ENTERPRISE}:employeeNumber": person.employee_number,
        f"{ENTERPRISE}:department": person.department,
    }
    if catalogue.entitlements:
        expected["entitlements"] = rights_of(person, catalogue) if assigned else frozenset()
    if catalogue.roles:
        expected["roles"] = roles_of(person, catalogue) if assigned else frozenset()
    return expected


def rights_of(person: Person, catalogue: Catalogue) -> frozenset[str]:
    """Return the entitlements of the catalogue that a person has."""
    return person.rights.intersection(catalogue.entitlements)


def roles_of(person: Person, catalogue: Catalogue) -> frozenset[str]:
    """Return the roles of the catalogue that a person has."""
    return person.roles.intersection(catalogue.roles)
