"""What an application asks, in the words of the gate: which audience, scope, method and path.

A resource of the type ``route`` is a path, one of the type ``audience`` an audience; any other type is itself
the audience. The name of an action is a scope; on a route it may be an HTTP method instead.
"""

from __future__ import annotations

from typing import Final

from app.gate.authzen.reading import Question, text_property
from app.gate.decision import Call

ROUTE: Final = "route"
AUDIENCE: Final = "audience"
METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"})


def call_of(question: Question) -> Call:
    """Return the call that a question is about.

    What it says of the subject decides nothing, but for the address that the subject calls from.

    :raises RequestInvalid: when a property that the gate reads is no string.
    """
    subject, action, resource = question.subject, question.action, question.resource
    route = resource.type == ROUTE
    audience = text_property(resource.properties, "audience", "resource.properties")
    if audience is None and not route:
        audience = resource.id if resource.type == AUDIENCE else resource.type
    methods = {text_property(action.properties, "method", "action.properties")}
    is_method = route and action.name in METHODS
    if is_method:
        methods.add(action.name)
    addresses = {
        text_property(question.context, "ip", "context"),
        text_property(subject.properties, "ip_address", "subject.properties"),
    }
    return Call(
        audiences=frozenset({audience} if audience else ()),
        scopes=frozenset({action.name} if action.name and not is_method else ()),
        method=_agreed(methods),
        path=resource.id if route else None,
        client=_agreed(addresses),
        properties={
            **{f"resource.{name}": value for name, value in resource.properties.items()},
            **{f"action.{name}": value for name, value in action.properties.items()},
            "resource.type": resource.type,
            "resource.id": resource.id,
            "action.name": action.name,
        },
    )


def _agreed(said: set[str | None]) -> str | None:
    """Return what is said, or None when nothing is, or one thing and another."""
    values = {each for each in said if each is not None}
    return values.pop() if len(values) == 1 else None
