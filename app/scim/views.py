"""Views: resource types that show the resources of another one under other names and ids.

The rows are one and the same, so there is nothing to keep in step.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, cast

from scim2_models import (
    ConflictException,
    InvalidFilterException,
    InvalidValueException,
    Mutability,
    NotFoundException,
    Resource,
    ResourceType,
    ResponseParameters,
    ScimFilter,
)

from app.directory import resources
from app.directory.entitlements import ASSIGNMENTS_USED
from app.directory.filters import compile_filter
from app.directory.membership import MemberMoves
from app.directory.resources import StoredResource
from app.directory.sorting import CREATION
from app.directory.views import BoundView, is_mapped_role, is_only_mapped, rows_of
from app.scim.dialects import Dialect
from app.scim.provider import DirectoryProvider
from app.scim.storage import DirectoryStorage, asked_for
from app.store.unit_of_work import Unit, new_id


class ViewStorage(DirectoryStorage):
    """Reads and writes the resources of one tenant, those of views too.

    What is written through a view is written to the resource that it shows, and what the view does not show
    stays. What is made through one whose ids are values gets a new value, which is its id there.
    """

    def __init__(self, unit: Unit, provider: DirectoryProvider, dialect: Dialect) -> None:
        super().__init__(unit, provider, dialect)
        self.stored = DirectoryStorage(unit, provider.stored, dialect)

    def get(
        self,
        resource_type: ResourceType,
        resource_id: str,
        *,
        response_parameters: ResponseParameters[Any] | None = None,
    ) -> Resource[Any]:
        view = self._view(resource_type)
        if view is None:
            return super().get(resource_type, resource_id, response_parameters=response_parameters)
        return self._shown(view, [self._stored(view, resource_id)], response_parameters)[0]

    def load(
        self,
        stored: Sequence[StoredResource],
        parameters: ResponseParameters[Any] | None,
        *,
        counted: bool | None = None,
    ) -> list[Resource[Any]]:
        of_type: dict[str, list[StoredResource]] = {}
        for each in stored:
            of_type.setdefault(each.type if each.type in self.provider.views else "", []).append(each)
        loaded: dict[tuple[str, str], Resource[Any]] = {}
        for name, some in of_type.items():
            if name:
                view = self.provider.views[name]
                shown_here = self._shown(view, [_as_stored(view, each) for each in some], parameters)
            else:
                shown_here = super().load(some, parameters, counted=counted)
            loaded |= {(each.type, each.id): found for each, found in zip(some, shown_here, strict=True)}
        return [loaded[each.type, each.id] for each in stored]

    def create(self, resource_type: ResourceType, resource: Resource[Any]) -> Resource[Any]:
        view = self._view(resource_type)
        if view is None:
            return super().create(resource_type, resource)
        named = {} if view.view.id == "id" else {view.view.id: new_id()}
        new = view.stored_model.model_validate(written(view, resource, named))
        made = self.stored.create(self._stored_type(view), new)
        return self._shown_of(view, [made])[0]

    def update(
        self,
        resource_type: ResourceType,
        resource: Resource[Any],
        *,
        expected_version: str | None = None,
        moves: MemberMoves | None = None,
    ) -> Resource[Any]:
        view = self._view(resource_type)
        if view is None:
            return super().update(resource_type, resource, expected_version=expected_version, moves=moves)
        stored = self._stored(view, str(resource.id))
        (kept,) = self.stored.load([stored], None)
        wanted = view.stored_model.model_validate(written(view, resource, kept.model_dump(mode="json")))
        if is_only_mapped(stored):
            # A role that was only named by entitlements so far is stored once something is said of it.
            made = self.stored.create(self._stored_type(view), wanted)
        else:
            made = self.stored.update(self._stored_type(view), wanted, expected_version=expected_version)
        return self._shown_of(view, [made])[0]

    def delete(
        self, resource_type: ResourceType, resource_id: str, *, expected_version: str | None = None
    ) -> None:
        view = self._view(resource_type)
        if view is None:
            super().delete(resource_type, resource_id, expected_version=expected_version)
        else:
            if view.view.mapped_roles and is_mapped_role(self.unit, resource_id):
                raise ConflictException(
                    detail="Entitlements are mapped from this role: take it from them first"
                )
            stored = self._stored(view, resource_id)
            self.stored.delete(self._stored_type(view), stored.id, expected_version=expected_version)

    def reassert(self, resource: Resource[Any]) -> None:
        view = self.provider.views.get(str(resource.meta.resource_type) if resource.meta else "")
        if view is None:
            super().reassert(resource)
        elif not is_only_mapped(stored := self._stored(view, str(resource.id))):
            self.stored.reassert(self.stored.load([stored], None)[0])

    def _view(self, resource_type: ResourceType) -> BoundView | None:
        return self.provider.views.get(str(resource_type.name))

    def _stored_type(self, view: BoundView) -> ResourceType:
        return next(each for each in self.stored.provider.resource_types if each.name == view.view.of)

    def _stored(self, view: BoundView, resource_id: str) -> StoredResource:
        """Return the row of a resource by its id in a view.

        :raises NotFoundException: when there is none.
        """
        # A path may end in a slash which is not of the id.
        for wanted in dict.fromkeys((resource_id, resource_id.rstrip("/"))):
            try:
                condition = compile_filter(
                    ScimFilter(f"id eq {json.dumps(wanted)}"),
                    unit=self.unit,
                    model=view.model,
                    type_name=view.name,
                    view=view,
                )
            except InvalidFilterException:
                continue
            found = resources.find(
                self.unit,
                condition,
                order=[term.ordered for term in CREATION],
                offset=0,
                limit=1,
                rows=rows_of(self.unit, [view.name], {view.name: view}),
            )
            if found.resources:
                return _as_stored(view, found.resources[0])
        raise NotFoundException(detail=f"{view.name} {resource_id[:100]!r} not found")

    def _shown(
        self, view: BoundView, stored: Sequence[StoredResource], parameters: ResponseParameters[Any] | None
    ) -> list[Resource[Any]]:
        # Names in the request are those of the view.
        counted = any(
            asked_for(here, parameters)
            for here, there in view.view.shows.items()
            if ASSIGNMENTS_USED in there
        )
        return self._shown_of(view, self.stored.load(stored, None, counted=counted))

    def _shown_of(self, view: BoundView, loaded: Sequence[Resource[Any]]) -> list[Resource[Any]]:
        return [shown(view, each) for each in loaded]


def _as_stored(view: BoundView, row: StoredResource) -> StoredResource:
    """Return a row of a view as one of the type that is stored."""
    return replace(row, type=view.view.of)


def shown(view: BoundView, stored: Resource[Any]) -> Resource[Any]:
    """Return a stored resource as a view shows it."""
    kept = stored.model_dump(mode="json")
    document: dict[str, Any] = {"id": kept.get(view.view.id), "externalId": kept.get("externalId")}
    for attribute in (*view.view.shows, *view.view.says):
        document[attribute] = view.view.text(attribute, kept)
    meta = {**kept.get("meta", {}), "resourceType": view.name}
    return view.model.model_validate({**document, "meta": meta})


def written(view: BoundView, resource: Resource[Any], document: dict[str, Any]) -> dict[str, Any]:
    """Return the document of a stored resource after what was written through a view.

    What is said just as the view shows it is left as it is stored.

    :raises InvalidValueException: when a text is longer than the view shows it.
    """
    said = resource.model_dump(mode="json")
    changed = {**document, "externalId": said.get("externalId")}
    for attribute, sources in view.view.shows.items():
        value, longest = said.get(attribute), view.view.longest.get(attribute)
        if value == view.view.text(attribute, document) or _is_read_only(view.model, attribute):
            continue
        if longest is not None and isinstance(value, str) and len(value) > longest:
            raise InvalidValueException(detail=f"{attribute} has at most {longest} characters")
        changed[sources[0]] = value
    return changed


def _is_read_only(model: type[Resource[Any]], attribute: str) -> bool:
    for field_name in model.model_fields:
        if field_name.replace("_", "").lower() == attribute.lower():
            return cast(bool, model.get_field_annotation(field_name, Mutability) == Mutability.read_only)
    return False
