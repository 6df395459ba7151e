"""What trials work with: the server, what it announces, and makers of the resources a trial needs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING, Any, Final

from conformance.exchange import Answer, Target
from conformance.rfc.provider import ENTERPRISE, GROUP, USER, Attribute, Provider, ResourceType

if TYPE_CHECKING:
    from conformance.rfc.cast import Cast

PATCH_OPERATION: Final = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
SEARCH_REQUEST: Final = "urn:ietf:params:scim:api:messages:2.0:SearchRequest"
LIST_RESPONSE: Final = "urn:ietf:params:scim:api:messages:2.0:ListResponse"
BULK_REQUEST: Final = "urn:ietf:params:scim:api:messages:2.0:BulkRequest"
BULK_RESPONSE: Final = "urn:ietf:params:scim:api:messages:2.0:BulkResponse"
ERROR: Final = "urn:ietf:params:scim:api:messages:2.0:Error"

_PLAIN_TEXTS: Final = (
    "title",
    "displayName",
    "nickName",
    "userType",
    "preferredLanguage",
    "locale",
    "timezone",
)
_LISTS: Final = ("emails", "phoneNumbers", "ims", "addresses", "roles", "entitlements", "photos")


class Deviates(Exception):
    """The server does otherwise than required; the message says what was seen."""


class NotApplicable(Exception):
    """The server does not offer what the requirement is about; the message says what is missing."""


class Untestable(Exception):
    """What the trial builds on failed; the message says what."""


@dataclass(frozen=True)
class Made:
    """A resource that the suite has made."""

    path: str
    """Relative to the base URL: ``Users/2819c223``."""
    id: str
    document: Mapping[str, Any]
    """As the server answered its creation."""
    answer: Answer


@dataclass
class Stage:
    """Where one trial after the other is carried out."""

    target: Target
    provider: Provider
    run: str
    """Part of every name, so that runs do not clash."""

    kept: dict[str, None] = field(default_factory=dict)
    """Paths of resources that several trials share."""

    cast: Cast | None = None
    """The users that queries are tried on, once a trial has asked for them."""

    _numbers: count[int] = field(default_factory=lambda: count(1))

    # What the server offers.

    def needs(self, feature: str) -> None:
        """:raises NotApplicable: when ServiceProviderConfig does not announce the feature."""
        if not self.provider.supports(feature):
            raise NotApplicable(f"ServiceProviderConfig does not announce {feature}")

    def resource_type(self, schema: str) -> ResourceType:
        """:raises NotApplicable: when the server has no resource type with this schema."""
        found = self.provider.resource_type(schema)
        if found is None:
            raise NotApplicable(f"/ResourceTypes lists no resource type with the schema {schema}")
        return found

    @property
    def users(self) -> str:
        """The path of the endpoint of users."""
        return self.resource_type(USER).endpoint

    @property
    def groups(self) -> str:
        """The path of the endpoint of groups."""
        return self.resource_type(GROUP).endpoint

    def attribute(self, path: str, schema: str = USER) -> Attribute:
        """:raises NotApplicable: when ``/Schemas`` does not declare the attribute."""
        found = self.provider.attribute(schema, path)
        if found is None:
            raise NotApplicable(f"/Schemas declares no attribute {path} in {schema}")
        return found

    def text(self, position: int = 0) -> str:
        """Return the name of an attribute of users that takes any text, without regard to letter case.

        :param position: 0 for the first such attribute, 1 for another one.
        """
        declared = [self.provider.attribute(USER, name) for name in _PLAIN_TEXTS]
        found = [
            each.name
            for each in declared
            if each and each.is_plain_text and not each.case_exact | each.required
        ]
        if len(found) <= position:
            raise NotApplicable("/Schemas declares no suitable attribute of type string for users")
        return found[position]

    def values(self) -> str:
        """Return the name of a multi-valued attribute of users with ``value`` and ``type``."""
        for name in _LISTS:
            found = self.provider.attribute(USER, name)
            if found and found.multi_valued and found.mutability == "readWrite" and found.type == "complex":
                value, kind = found.sub("value"), found.sub("type")
                if value and kind and {value.mutability, kind.mutability} == {"readWrite"}:
                    return found.name
        raise NotApplicable("/Schemas declares no multi-valued attribute with value and type for users")

    def extension_text(self) -> Attribute:
        """Return an attribute of an extension of users that takes any text."""
        candidates = [
            each
            for each in self.provider.extension_attributes(USER)
            if each.is_plain_text and not each.required
        ]
        candidates.sort(key=lambda each: each.schema.lower() != ENTERPRISE.lower())
        if not candidates:
            raise NotApplicable("no extension of users has a suitable attribute of type string")
        return candidates[0]

    # What a trial makes.

    def name(self, word: str = "") -> str:
        """Return a name that nothing else has: lower-case letters and digits."""
        return f"{self.run}n{next(self._numbers)}{word}"

    def value(self, kind: str, *, attribute: str | None = None) -> dict[str, Any]:
        """Return an element for the multi-valued attribute of :meth:`values`, with a new value."""
        name = attribute or self.values()
        return {"value": _value_for(name, self.name(), next(self._numbers)), "type": kind}

    def user_body(self, **attributes: Any) -> dict[str, Any]:
        """Return the smallest body that makes a user here, and these attributes; None leaves one out."""
        return self._body(USER, {"userName": self.name("user")}, attributes)

    def group_body(self, **attributes: Any) -> dict[str, Any]:
        """Return the smallest body that makes a group here, and these attributes."""
        return self._body(GROUP, {"displayName": self.name("group")}, attributes)

    def body(self, schema: str) -> dict[str, Any]:
        """Return the smallest body that makes a resource of any type, by its base schema."""
        return self._body(schema, {}, {})

    def new_user(self, **attributes: Any) -> Made:
        """Make a user.

        :raises Untestable: when the server refuses.
        """
        return self.make(self.users, self.user_body(**attributes))

    def new_group(self, **attributes: Any) -> Made:
        """Make a group."""
        return self.make(self.groups, self.group_body(**attributes))

    def make(self, endpoint: str, body: Mapping[str, Any]) -> Made:
        """Make a resource."""
        answer = self.target.post(endpoint, body)
        identity = answer.document.get("id")
        if answer.status != 201 or not isinstance(identity, str):
            raise Untestable(f"POST /{endpoint} of a plain resource is answered {summary(answer)}")
        return Made(f"{endpoint}/{identity}", identity, answer.document, answer)

    def read(self, made: Made, **query: Any) -> dict[str, Any]:
        """Return a resource as the server has it now.

        :raises Deviates: when a query of it is refused.
        :raises Untestable: when it is not answered at all.
        """
        answer = self.target.get(made.path, **query)
        if answer.status != 200:
            refused = Deviates if query else Untestable
            raise refused(f"GET /{made.path} is answered {summary(answer)}")
        return answer.document

    def patched(self, made: Made, *operations: Mapping[str, Any]) -> dict[str, Any]:
        """Apply a PATCH that must succeed and return the resource as the server has it then.

        :raises Deviates: when the PATCH is refused.
        """
        self.needs("patch")
        answer = self.target.patch(made.path, *operations)
        if answer.status not in (200, 204):
            raise Deviates(f"PATCH is answered {summary(answer)}")
        return self.read(made)

    def keep(self, *made: Made) -> None:
        """Let resources stand until the end of the run."""
        self.kept.update({each.path: None for each in made})

    def strike(self) -> None:
        """Delete what the trial made, newest first.

        :raises ServerUnreachable: when there is no answer.
        """
        for path in reversed([path for path in self.target.created if path not in self.kept]):
            self.target.delete(path)

    def _body(self, schema: str, named: dict[str, Any], attributes: Mapping[str, Any]) -> dict[str, Any]:
        resource_type = self.resource_type(schema)
        body: dict[str, Any] = {"schemas": [schema]}
        for attribute in self.provider.attributes(schema):
            if (
                attribute.required
                and attribute.mutability not in ("readOnly",)
                and attribute.name not in named
            ):
                body[attribute.name] = self._made_up(attribute)
        for urn, required in resource_type.extensions:
            if required:
                body["schemas"].append(urn)
                body[urn] = {
                    each.name: self._made_up(each)
                    for each in self.provider.attributes(urn)
                    if each.required and each.mutability != "readOnly"
                }
        return {
            name: value for name, value in {**body, **named, **attributes}.items() if value is not None
        } | ({"schemas": [*body["schemas"], *(each for each in attributes if each.startswith("urn:"))]})

    def _made_up(self, attribute: Attribute) -> Any:
        if attribute.type == "complex":
            wanted = [each for each in attribute.subs if each.required] or list(attribute.subs[:1])
            made_up: Any = {each.name: self._made_up(each) for each in wanted}
        elif attribute.canonical_values:
            made_up = attribute.canonical_values[0]
        else:
            made_up = {
                "boolean": True,
                "integer": 1,
                "decimal": 1.5,
                "dateTime": "2020-01-01T00:00:00Z",
                "reference": f"https://example.com/{self.name()}",
                "binary": "AAAA",
            }.get(attribute.type, _value_for(attribute.name, self.name(), next(self._numbers)))
        return [made_up] if attribute.multi_valued else made_up


def summary(answer: Answer) -> str:
    """Return the status of an answer and, of an error, what it says."""
    document = answer.document
    said = " ".join(str(document[name]) for name in ("scimType", "detail") if document.get(name))
    return f"{answer.status} {said}".strip()


def _value_for(attribute: str, name: str, number: int) -> str:
    if attribute.lower().startswith(("email", "value")):
        return f"{name}@example.com"
    if attribute.lower().startswith("phone"):
        return f"+1-201-555-{number:04d}"
    if attribute.lower().startswith("photo"):
        return f"https://example.com/{name}.png"
    return name
