"""Views: resource types that show the rows of another type under other names and ids, searched in SQL.

There is nothing to keep in step: what a view shows is read from the row. Only what it composes of several
attributes is prepared for comparing when the row is written.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from inspect import isclass
from typing import Any, Final

import sqlalchemy as sa
from scim2_models import BaseModel, Path, Resource
from scim2_models.path import AttributeBinding

from app.directory.carriers import holding
from app.directory.comparable import compared, is_unique, name_of
from app.directory.resources import StoredResource
from app.store.json_access import JsonColumn, json_of
from app.store.tables import mapping, resource
from app.store.unit_of_work import Unit

_NEVER_WRITTEN: Final = 0


@dataclass(frozen=True)
class View:
    """How the resources of a type show those of another one: the same rows under other names."""

    of: str
    """The name of the type that is stored."""

    id: str = "id"
    """The stored attribute whose value is the id here: one that is required, unique and compared exactly."""

    shows: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """For each attribute here, the stored ones it shows: the first of them that has a value."""

    says: Mapping[str, str] = field(default_factory=dict)
    """What attributes here always say."""

    longest: Mapping[str, int] = field(default_factory=dict)
    """How many characters of an attribute are shown at most."""

    mapped_roles: bool = False
    """Whether the roles that entitlements are mapped from are shown too, besides those that are stored."""

    def text(self, attribute: str, document: Mapping[str, Any]) -> Any:
        """Return what an attribute shows of a stored document, or None."""
        if attribute in self.says:
            return self.says[attribute]
        found = next((document[each] for each in self.shows[attribute] if _is_said(document.get(each))), None)
        return found[: self.longest.get(attribute)] if isinstance(found, str) else found


@dataclass(frozen=True)
class BoundView:
    """A view with its name and endpoint, and the models on both of its sides."""

    name: str
    endpoint: str
    view: View
    model: type[Resource[Any]]
    stored_model: type[Resource[Any]]

    @property
    def schema(self) -> str:
        """The URN of the schema that its resources have."""
        return str(self.model.__schema__)

    @property
    def key(self) -> str:
        """Where the comparable form of a stored resource has what is prepared for the view."""
        return f"view:{self.name}:{self.schema}".lower()

    def fault(self) -> str | None:
        """Return what is wrong with the view, or None."""
        if self.schema.lower() == str(self.stored_model.__schema__).lower():
            return f"it has the schema of {self.view.of} itself"
        own = {name for name in self.model.model_fields if name not in Resource.model_fields}
        named = {name_of(each) for each in (*self.view.shows, *self.view.says)}
        if missing := sorted(name for name in own if name_of(name) not in named):
            return f"it does not say what {', '.join(missing)} shows"
        for here, there in (*self.view.shows.items(), *((each, ()) for each in self.view.says)):
            for model, name in ((self.model, here), *((self.stored_model, each) for each in there)):
                binding = Path[model](name).resolve()  # type: ignore[valid-type]
                if binding is None or binding.sub_field_name is not None:
                    return f"there is no attribute {name}"
                if binding.is_multivalued or (
                    isclass(binding.target_type) and issubclass(binding.target_type, BaseModel)
                ):
                    return f"{name} is not a single simple value"
        for name in self.composed.values():
            if _bound(self.model, name).target_type is not str:
                return f"{name} is composed, and no string"
        if self.view.id != "id":
            binding = Path[self.stored_model](self.view.id).resolve()  # type: ignore[name-defined]
            if binding is None or not is_unique(binding) or not binding.case_exact:
                return f"{self.view.id} is no id: it is not unique, or not compared exactly"
        return None

    def stored(self, binding: AttributeBinding) -> AttributeBinding | None:
        """Return the stored attribute that one of the view shows as it is; None when it is composed."""
        if binding.model is not self.model or binding.field_name in ("meta", "schemas"):
            return binding
        name = name_of(binding.field_name)
        if name == "id":
            return self._stored(self.view.id)
        if name == "externalid":
            return self._stored("externalId")
        return None if name in self.composed else self._stored(self._names[name])

    @cached_property
    def composed(self) -> Mapping[str, str]:
        """The attributes that no single stored one is, by their names in the comparable form."""
        alone = set(self._names)
        every = (*self.view.shows, *self.view.says)
        return {name_of(each): each for each in every if name_of(each) not in alone}

    def prepared(self, document: Mapping[str, Any]) -> dict[str, Any]:
        """Return what the comparable form of a stored document holds for the view."""
        found = {}
        for name, attribute in self.composed.items():
            binding, text = _bound(self.model, attribute), self.view.text(attribute, document)
            if isinstance(text, str) and attribute not in self.view.says:
                found[name] = compared(binding, text)
        return found

    def column(self, binding: AttributeBinding, comparable: JsonColumn) -> sa.ColumnElement[Any]:
        """Return a composed attribute as it is compared."""
        name = name_of(binding.field_name)
        attribute = self.composed[name]
        if attribute in self.view.says:
            return sa.literal(compared(binding, self.view.says[attribute]), sa.Text())
        # A row that was written before the view was there has nothing prepared for it.
        sources = [comparable.text(name_of(each)) for each in self.view.shows[attribute]]
        shown = sa.func.coalesce(comparable.text(self.key, name), *sources, type_=sa.Text())
        longest = self.view.longest.get(attribute)
        return shown if longest is None else sa.func.substr(shown, 1, longest, type_=sa.Text())

    @cached_property
    def _names(self) -> dict[str, str]:
        """The attributes that show one stored attribute as it is, and its name."""
        found = {}
        for here, there in self.view.shows.items():
            if len(there) == 1 and here not in self.view.longest:
                own, stored = _bound(self.model, here), _bound(self.stored_model, there[0])
                if own.case_exact == stored.case_exact:
                    found[name_of(here)] = there[0]
        return found

    def _stored(self, attribute: str) -> AttributeBinding:
        return _bound(self.stored_model, attribute)


def rows_of(unit: Unit, types: Sequence[str], views: Mapping[str, BoundView]) -> sa.FromClause:
    """Return the rows of some types, with the columns of ``resource``: each once for each type that shows it.

    :param types: the names of the types.
    :param views: those that are views, by their names; their rows have that name as their type.
    """
    shown = [views[each] for each in types if each in views]
    if not shown:
        return resource
    parts = [part for each in shown for part in _rows_of_view(unit, each)]
    if stored := [each for each in types if each not in views]:
        parts.append(
            sa.select(resource).where(resource.c.tenant_id == unit.tenant_id, resource.c.type.in_(stored))
        )
    return (sa.union_all(*parts) if len(parts) > 1 else parts[0]).subquery("served")


def _rows_of_view(unit: Unit, bound: BoundView) -> list[sa.Select[Any]]:
    view, name = bound.view, sa.literal(bound.name, sa.Text())
    of_tenant = sa.and_(resource.c.tenant_id == unit.tenant_id, resource.c.type == view.of)
    columns = [name.label("type") if each is resource.c.type else each for each in resource.c]
    stored = sa.select(*columns).where(of_tenant)
    if not view.mapped_roles:
        return [stored]
    postgresql = unit.connection.dialect.name == "postgresql"
    known = sa.select(JsonColumn(resource.c.document, postgresql).text(view.id)).where(of_tenant)
    said = json_of({view.id: mapping.c.value}, postgresql=postgresql)
    since = sa.func.min(mapping.c.since)
    values: dict[str, sa.ColumnElement[Any]] = {
        "id": sa.literal("mapped:", sa.Text()) + mapping.c.value,
        "tenant_id": mapping.c.tenant_id,
        "type": name,
        "document": said,
        "comparable": said,
        "revision": sa.literal(_NEVER_WRITTEN, sa.BigInteger()),
        "created_at": since,
        "modified_at": since,
    }
    mapped = (
        sa.select(*(values[each.name].label(each.name) for each in resource.c))
        .where(holding(unit, mapping), mapping.c.kind == "role", mapping.c.value.not_in(known))
        .group_by(mapping.c.tenant_id, mapping.c.value)
    )
    return [stored, mapped]


def is_only_mapped(stored: StoredResource) -> bool:
    """Return whether a row is a role that entitlements are mapped from, of which nothing else is stored."""
    return stored.revision == _NEVER_WRITTEN


def is_mapped_role(unit: Unit, value: str) -> bool:
    """Return whether an entitlement is mapped from a role."""
    named = sa.select(sa.literal(1)).where(
        holding(unit, mapping), mapping.c.kind == "role", mapping.c.value == value
    )
    return "\0" not in value and unit.execute(named.limit(1)).first() is not None


def _bound(model: type[Resource[Any]], attribute: str) -> AttributeBinding:
    binding = Path[model](attribute).resolve()  # type: ignore[valid-type]
    if binding is None:
        raise ValueError(f"there is no attribute {attribute}")
    return binding


def _is_said(value: Any) -> bool:
    return value is not None and value != ""
