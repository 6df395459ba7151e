"""The directory as the SCIM server sees it: ``scim2-server``'s storage seam on one unit of work."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, Final, cast

import sqlalchemy as sa
from scim2_models import (
    InvalidCursorException,
    InvalidValueException,
    NotFoundException,
    Path,
    PreconditionFailedException,
    Resource,
    ResourceType,
    ResponseParameters,
    SearchRequest,
    TooManyException,
    UniquenessException,
)
from scim2_server.storage import ScimStorage, SearchPage

from app.directory import consumers, entitlements, membership, resources
from app.directory.comparable import comparable, matchable
from app.directory.cursors import find_by_cursor
from app.directory.entitlements import ASSIGNMENTS_USED
from app.directory.errors import (
    DirectoryError,
    PositionUnreadable,
    ResourceUnknown,
    RevisionOutdated,
    ValueTaken,
)
from app.directory.filters import compile_filter
from app.directory.look_ups import looked_up
from app.directory.membership import Member, MemberMoves
from app.directory.resources import Content, StoredResource
from app.directory.sorting import sort_terms
from app.directory.views import rows_of
from app.ledger.events import Event, record
from app.scim.dialects import Dialect
from app.scim.limits import LONGEST_SEARCH, bound_shown
from app.scim.provider import DirectoryProvider
from app.store.tables import resource as resource_table
from app.store.time_limit import TookTooLong, time_limit
from app.store.unit_of_work import Unit

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_HELD_ELSEWHERE: Final = {"User": ("groups",), "Group": ("members",), "Entitlement": (ASSIGNMENTS_USED,)}
"""What of a type other tables hold, beside its id and meta."""

WITHOUT_MEMBERS: Final[ResponseParameters[Any]] = ResponseParameters(excluded_attributes=[Path("members")])
"""Asks for a group without its members, which cost a query of their own."""


class DirectoryStorage(ScimStorage):
    """Reads and writes the resources of one tenant in one unit of work.

    What other tables hold (the members of a group, the groups of a user, the groups an entitlement is mapped
    to) is left out of the stored documents and filled in when a resource is read.
    """

    supports_cursors = True

    def __init__(self, unit: Unit, provider: DirectoryProvider, dialect: Dialect) -> None:
        self.unit = unit
        self.provider = provider
        self.dialect = dialect

    def get(
        self,
        resource_type: ResourceType,
        resource_id: str,
        *,
        response_parameters: ResponseParameters[Any] | None = None,
    ) -> Resource[Any]:
        with translated():
            stored = resources.fetch(self.unit, cast(str, resource_type.name), resource_id)
        return self.load([stored], response_parameters)[0]

    def search(
        self,
        resource_types: list[ResourceType],
        search_request: SearchRequest[Any],
        *,
        position: Any = None,
    ) -> SearchPage:
        if search_request.filter is None and search_request.sort_by is None:
            return self._search(resource_types, search_request, position)
        try:
            with time_limit(self.unit.connection, LONGEST_SEARCH):
                return self._search(resource_types, search_request, position)
        except TookTooLong:
            raise TooManyException(
                detail=f"The search took more than {LONGEST_SEARCH} seconds and was given up. Search for a "
                "userName, an externalId or a displayName with eq, or with fewer comparisons."
            ) from None

    def _search(
        self, resource_types: list[ResourceType], search_request: SearchRequest[Any], position: Any
    ) -> SearchPage:
        models = [(cast(str, each.name), self.model(cast(str, each.name))) for each in resource_types]
        views = self.provider.views
        conditions = [resource_table.c.type == name for name, _ in models]
        rows, limit = rows_of(self.unit, [name for name, _ in models], views), search_request.count
        if search_request.filter is not None:
            conditions = [
                condition
                & compile_filter(
                    search_request.filter,
                    unit=self.unit,
                    model=model,
                    type_name=name,
                    view=views.get(name),
                )
                for condition, (name, model) in zip(conditions, models, strict=True)
            ]
            if rows is resource_table:
                rows = looked_up(search_request.filter, self.unit, models)
        terms = sort_terms(self.unit, search_request, models, views)
        if search_request.cursor is not None:
            with translated():
                found = find_by_cursor(
                    self.unit, sa.or_(*conditions), terms=terms, position=position, limit=limit, rows=rows
                )
            loaded = self.load(found.resources, search_request)
            return SearchPage(found.total, loaded, next=found.next, previous=found.previous)
        page = resources.find(
            self.unit,
            sa.or_(*conditions),
            order=[term.ordered for term in terms],
            offset=search_request.start_index_0 or 0,
            limit=limit,
            rows=rows,
        )
        return SearchPage(page.total, self.load(page.resources, search_request))

    def create(self, resource_type: ResourceType, resource: Resource[Any]) -> Resource[Any]:
        name = cast(str, resource_type.name)
        if name == "User" and "active" not in resource.model_fields_set:
            # Whoever is not said to be inactive is active from the start.
            resource = resource.model_copy(update={"active": True})
        with translated():
            stored = resources.insert(self.unit, name, self._content(name, resource))
            record(self.unit, [Event(f"{name.lower()}.created", f"{name}/{stored.id}", _told(stored))])
            self._assert(stored, resource)
        return self.load([stored], None)[0]

    def update(
        self,
        resource_type: ResourceType,
        resource: Resource[Any],
        *,
        expected_version: str | None = None,
        moves: MemberMoves | None = None,
    ) -> Resource[Any]:
        """Store the new state of a resource, and return the stored resource.

        :param moves: what becomes of the members of a group; the resource then says nothing of them, and is
            returned without them. Otherwise those it lists are all.
        """
        unseen = None if moves is None else WITHOUT_MEMBERS
        name, resource_id = cast(str, resource_type.name), cast(str, resource.id)
        expected = _revision(expected_version)
        with translated():
            before = resources.fetch(self.unit, name, resource_id)
            content = self._content(name, resource, before.document)
            was = self._with_present_groups(name, before.document, before.document)
            changed = sorted(
                each
                for each in was.keys() | content.document.keys()
                if was.get(each) != content.document.get(each)
            )
            is_current = expected in (None, before.revision)
            if not changed and is_current and not self._assert(before, resource, moves):
                # What was so already was said again, perhaps in other words: its version stays (P6).
                return self.load([before], unseen)[0]
            stored = resources.update(self.unit, name, resource_id, content, expected_revision=expected)
            # A change of members alone is asserted by now, and has an event of its own.
            if changed:
                told = {**_told(stored), "changed": changed}
                record(self.unit, [Event(f"{name.lower()}.updated", f"{name}/{resource_id}", told)])
                self._assert(stored, resource, moves)
        return self.load([stored], unseen)[0]

    def delete(
        self, resource_type: ResourceType, resource_id: str, *, expected_version: str | None = None
    ) -> None:
        name = cast(str, resource_type.name)
        with translated():
            stored = resources.delete(
                self.unit, name, resource_id, expected_revision=_revision(expected_version)
            )
            record(self.unit, [Event(f"{name.lower()}.deleted", f"{name}/{resource_id}", _told(stored))])
            match name:
                case "User":
                    consumers.forget_consumer(self.unit, resource_id)
                case "Group":
                    membership.forget_group(self.unit, resource_id)
                case "Entitlement":
                    entitlements.forget_entitlement(self.unit, resource_id)

    def reassert(self, resource: Resource[Any]) -> None:
        """Make everything that follows from a resource be so, although the request changed nothing (P6)."""
        name = cast(str, resource.meta.resource_type if resource.meta else None)
        with translated():
            self._assert(resources.fetch(self.unit, name, cast(str, resource.id)), resource)

    def operation(self) -> AbstractContextManager[None]:
        return self.unit.savepoint()

    def member_count(self, group_id: str, *, limit: int) -> int:
        """Return how many members a group has, and not more than a limit."""
        return membership.member_count(self.unit, group_id, limit=limit)

    def _assert(
        self, stored: StoredResource, resource: Resource[Any], moves: MemberMoves | None = None
    ) -> bool:
        """Make the other tables say what a resource says; return whether the members of a group changed."""
        match stored.type:
            case "User":
                state = consumers.ConsumerState.of(stored.document)
                consumers.assert_consumer(
                    self.unit,
                    stored.id,
                    state,
                    refuse_unknown_sponsor=self.dialect.unknown_members == "refuse",
                )
            case "Group":
                if moves is None:
                    moves = MemberMoves.all_of(
                        Member(member.value, display=member.display)
                        for member in getattr(resource, "members", None) or []
                        if member.value
                    )
                return membership.assert_members(
                    self.unit, stored.id, moves, refuse_unknown=self.dialect.unknown_members == "refuse"
                )
            case "Entitlement":
                document = self._dumped(resource)
                state_of_it = entitlements.EntitlementState.of(document)
                entitlements.assert_entitlement(self.unit, stored.id, state_of_it)
        return False

    def model(self, name: str) -> type[Resource[Any]]:
        """Return the model of a resource type."""
        return cast(type[Resource[Any]], self.provider.model_for(name))

    def _dumped(self, resource: Resource[Any]) -> dict[str, Any]:
        return resource.model_dump(mode="json")

    def _content(
        self, name: str, resource: Resource[Any], before: Mapping[str, Any] | None = None
    ) -> Content:
        document = self._dumped(resource)
        for held_elsewhere in ("id", "meta", *_HELD_ELSEWHERE.get(name, ())):
            document.pop(held_elsewhere, None)
        served = {str(type(resource).__schema__), *type(resource).get_extension_models()}
        # What is never shown would be a change that nobody sees, and another version.
        document["schemas"] = [urn for urn in document.get("schemas") or () if urn in served]
        document = self._with_present_groups(name, document, before or {})
        form = comparable(resource)
        for view in self.provider.views_of(name):
            if prepared := view.prepared(document):
                form[view.key] = prepared
        return Content(document, form, matchable(resource))

    def _with_present_groups(
        self, name: str, document: dict[str, Any], before: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Return a document in which an entitlement names no groups that are gone: these are not shown."""
        if name != "Entitlement" or "groups" not in document:
            return document
        groups = entitlements.mapped_once(self.unit, document["groups"] or (), before.get("groups") or ())
        others = {key: value for key, value in document.items() if key != "groups"}
        return {**others, "groups": groups} if groups else others

    def load(
        self,
        stored: Sequence[StoredResource],
        parameters: ResponseParameters[Any] | None,
        *,
        counted: bool | None = None,
    ) -> list[Resource[Any]]:
        """Return stored resources with what other tables hold of them, as far as a response needs it.

        :param counted: whether the holders of entitlements are counted; by default, when they are asked for.
        :raises TooManyException: when they are too much for one response.
        """
        bound_shown([each.document for each in stored], parameters)
        ids: dict[str, list[str]] = {}
        for each in stored:
            ids.setdefault(each.type, []).append(each.id)
        members = (
            membership.members_of(self.unit, ids["Group"])
            if "Group" in ids and _wanted("members", parameters)
            else {}
        )
        groups = (
            membership.groups_of(self.unit, ids["User"])
            if "User" in ids and _wanted("groups", parameters)
            else {}
        )
        named = {
            group["value"]
            for each in stored
            if each.type == "Entitlement"
            for group in each.document.get("groups") or ()
            if group.get("value")
        }
        existing = entitlements.named_groups(self.unit, named)
        if counted is None:
            counted = asked_for(ASSIGNMENTS_USED, parameters)
        used = entitlements.assignments_used(self.unit, ids.get("Entitlement", ())) if counted else {}
        loaded = []
        for each in stored:
            document = {**each.document, "id": each.id, "meta": _meta(each)}
            if each.id in members:
                document["members"] = [
                    {
                        "value": member.id,
                        "$ref": f"{member.type}s/{member.id}",
                        "type": member.type,
                        "display": member.display,
                    }
                    for member in members[each.id]
                ]
            if each.id in groups:
                document["groups"] = [
                    {
                        "value": group.id,
                        "$ref": f"Groups/{group.id}",
                        "display": group.display,
                        "type": group.type,
                    }
                    for group in groups[each.id]
                ]
            if each.id in used:
                document[ASSIGNMENTS_USED] = used[each.id]
            if each.type == "Entitlement" and "groups" in document:
                document["groups"] = [
                    {
                        "display": existing[group["value"]],
                        **group,
                        "$ref": f"Groups/{group['value']}",
                    }
                    for group in document["groups"]
                    if group.get("value") in existing
                ]
            model = self.model(each.type)
            # An extension that was served when the resource was written may be gone.
            served = {str(model.__schema__), *model.get_extension_models()}
            if not served.issuperset(document.get("schemas") or ()):
                document["schemas"] = [urn for urn in document["schemas"] if urn in served]
            loaded.append(model.model_validate(document))
        return loaded


def _wanted(attribute: str, parameters: ResponseParameters[Any] | None) -> bool:
    """Whether a response needs an attribute that costs a query."""
    if parameters is None:
        return True
    if parameters.attributes:
        return asked_for(attribute, parameters)
    return attribute not in _named(parameters.excluded_attributes)


def asked_for(attribute: str, parameters: ResponseParameters[Any] | None) -> bool:
    """Return whether a request asks for an attribute by its name."""
    named = _named(parameters.attributes if parameters is not None else ())
    return any(name.partition(".")[0] == attribute.lower() for name in named)


def _named(paths: Sequence[Any] | None) -> set[str]:
    return {str(path).rpartition(":")[2].lower() for path in paths or ()}


def _meta(stored: StoredResource) -> dict[str, Any]:
    return {
        "resourceType": stored.type,
        "created": EPOCH + timedelta(microseconds=stored.created_at),
        "lastModified": EPOCH + timedelta(microseconds=stored.modified_at),
        "version": f'W/"{stored.revision}"',
    }


def _revision(version: str | None) -> int | None:
    return None if version is None else int(version[3:-1])


def _told(stored: StoredResource) -> dict[str, Any]:
    """What an event says of a resource, so that it is recognised after it is gone."""
    return {
        name: stored.document[name]
        for name in ("userName", "displayName", "value", "externalId", "active")
        if name in stored.document
    }


@contextmanager
def translated() -> Iterator[None]:
    """Turn what the directory refuses into SCIM errors (RFC 7644 §3.12)."""
    try:
        yield
    except ResourceUnknown as error:
        raise NotFoundException(detail=str(error)) from error
    except RevisionOutdated as error:
        raise PreconditionFailedException(detail=str(error)) from error
    except ValueTaken as error:
        raise UniquenessException(detail=str(error)) from error
    except PositionUnreadable as error:
        raise InvalidCursorException from error
    except DirectoryError as error:
        raise InvalidValueException(detail=str(error)) from error
