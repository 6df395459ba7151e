"""Fills the directory with people who each hold a key that one of the routes will withdraw."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from conformance.deadline.routes import USER, Holder, Route, Way
from conformance.deadline.server import Server

GROUP: Final = "urn:ietf:params:scim:schemas:core:2.0:Group"
ENTITLEMENT: Final = "urn:keysteward:scim:schemas:core:1.0:Entitlement"


def populate(server: Server, routes: Sequence[Route], run: str, told: Callable[[int], None]) -> list[Holder]:
    """Make one user with a claimed key for each withdrawal.

    :param routes: the route of each withdrawal.
    :param run: is in every name, so that nothing meets what is there already.
    :param told: is told how many of the keys there are.
    :raises Unexpected: when the server refuses a step.
    """
    role, direct, by_role, by_group = (f"{run}-{word}" for word in ("role", "direct", "by-role", "by-group"))
    names = [f"{run}-{number}" for number in range(len(routes))]
    values = [
        {
            Way.DIRECT: direct,
            Way.OWN_ENTITLEMENT: name,
            Way.ROLE: by_role,
            Way.GROUP: by_group,
            Way.OWN_GROUP: by_group,
        }[route.way]
        for name, route in zip(names, routes, strict=True)
    ]
    users = [
        _user(server, name, route.way, value, role)
        for name, route, value in zip(names, routes, values, strict=True)
    ]
    together = [user for user, route in zip(users, routes, strict=True) if route.way is Way.GROUP]
    everybody = _group(server, f"{run}-everybody", *together)
    groups = [
        _group(server, name, user) if route.way is Way.OWN_GROUP else everybody
        for name, user, route in zip(names, users, routes, strict=True)
    ]
    _entitlement(server, direct)
    _entitlement(server, by_role, roles=[{"value": role}])
    _entitlement(server, by_group, groups=[{"value": each} for each in dict.fromkeys([everybody, *groups])])
    holders = []
    for number, route in enumerate(routes):
        own = _entitlement(server, names[number]) if route.way is Way.OWN_ENTITLEMENT else ""
        key_id, secret = server.key(users[number], values[number])
        holders.append(
            Holder(number, users[number], names[number], values[number], groups[number], own, key_id, secret)
        )
        told(len(holders))
    return holders


def _user(server: Server, name: str, way: Way, value: str, role: str) -> str:
    given: dict[str, Any] = {}
    if way in (Way.DIRECT, Way.OWN_ENTITLEMENT):
        given["entitlements"] = [{"value": value}]
    elif way is Way.ROLE:
        given["roles"] = [{"value": role}]
    made = server.make("Users", {"schemas": [USER], "userName": name, "active": True, **given})
    return str(made["id"])


def _group(server: Server, name: str, *members: str) -> str:
    listed = [{"value": each} for each in members]
    made = server.make("Groups", {"schemas": [GROUP], "displayName": name, "members": listed})
    return str(made["id"])


def _entitlement(server: Server, value: str, **mapped: Any) -> str:
    policy = {"issuance": "manual"}
    body = {"schemas": [ENTITLEMENT], "value": value, "display": value, "keyPolicy": policy, **mapped}
    return str(server.make("Entitlements", body)["id"])
