"""Resources as rows: the stored documents, their revisions and their unique values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import sqlalchemy as sa
from sqlalchemy.sql.visitors import replacement_traverse

from app.directory.comparable import MatchValue
from app.directory.errors import ResourceUnknown, RevisionOutdated, ValueTaken
from app.store.tables import attribute_value, resource
from app.store.unit_of_work import Unit, new_id


@dataclass(frozen=True)
class Content:
    """What a resource says: its document, its comparable form, and the values it can be matched by."""

    document: Mapping[str, Any]
    comparable: Mapping[str, Any]
    match_values: Sequence[MatchValue]


@dataclass(frozen=True)
class StoredResource:
    """A resource as the table holds it; times in microseconds."""

    id: str
    type: str
    document: dict[str, Any]
    revision: int
    created_at: int
    modified_at: int


@dataclass(frozen=True)
class Page:
    """A page of resources, and how many there are in all."""

    total: int
    resources: list[StoredResource]


def insert(unit: Unit, type_name: str, content: Content) -> StoredResource:
    """Store a new resource under a new id.

    :raises ValueTaken: when a unique value is taken.
    """
    resource_id = new_id()
    _refuse_taken(unit, resource_id, content)
    unit.execute(
        sa.insert(resource).values(
            id=resource_id,
            tenant_id=unit.tenant_id,
            type=type_name,
            document=content.document,
            comparable=content.comparable,
            revision=1,
            created_at=unit.now,
            modified_at=unit.now,
        )
    )
    _insert_values(unit, resource_id, content)
    return StoredResource(resource_id, type_name, dict(content.document), 1, unit.now, unit.now)


def fetch(unit: Unit, type_name: str, resource_id: str) -> StoredResource:
    """Return a resource.

    :raises ResourceUnknown: when the tenant has no such resource of this type.
    """
    wanted = sa.select(resource).where(
        resource.c.tenant_id == unit.tenant_id, resource.c.id == resource_id, resource.c.type == type_name
    )
    # PostgreSQL takes no text with a NUL, and no id has one.
    row = None if "\0" in resource_id else unit.execute(wanted).one_or_none()
    if row is None:
        raise ResourceUnknown(f"{type_name} {resource_id[:100]!r} not found")
    return stored_of(row)


def update(
    unit: Unit, type_name: str, resource_id: str, content: Content, *, expected_revision: int | None
) -> StoredResource:
    """Replace what a resource says; its revision grows by one.

    :raises ResourceUnknown: when there is no such resource.
    :raises RevisionOutdated: when the resource has not the expected revision.
    :raises ValueTaken: when a unique value is taken by another resource.
    """
    current = fetch(unit, type_name, resource_id)
    _expect(current, expected_revision)
    _refuse_taken(unit, resource_id, content)
    revision = current.revision + 1
    unit.execute(
        sa.update(resource)
        .where(resource.c.id == resource_id)
        .values(
            document=content.document,
            comparable=content.comparable,
            revision=revision,
            modified_at=unit.now,
        )
    )
    unit.execute(sa.delete(attribute_value).where(attribute_value.c.resource_id == resource_id))
    _insert_values(unit, resource_id, content)
    return StoredResource(
        resource_id, type_name, dict(content.document), revision, current.created_at, unit.now
    )


def delete(unit: Unit, type_name: str, resource_id: str, *, expected_revision: int | None) -> StoredResource:
    """Remove a resource and free its unique values; return what it was.

    :raises ResourceUnknown: when there is no such resource.
    :raises RevisionOutdated: when the resource has not the expected revision.
    """
    current = fetch(unit, type_name, resource_id)
    _expect(current, expected_revision)
    unit.execute(sa.delete(attribute_value).where(attribute_value.c.resource_id == resource_id))
    unit.execute(sa.delete(resource).where(resource.c.id == resource_id))
    return current


def find(
    unit: Unit,
    condition: sa.ColumnElement[bool],
    *,
    order: Sequence[sa.ColumnElement[Any]],
    offset: int,
    limit: int | None,
    rows: sa.FromClause = resource,
) -> Page:
    """Return a page of the tenant's resources that meet a condition, and their number.

    :param rows: where they are: what has the columns of ``resource``.
    """
    wanted = sa.and_(resource.c.tenant_id == unit.tenant_id, condition)
    total = count(unit, wanted, rows)
    if limit == 0 or offset >= total:
        return Page(total, [])
    statement = sa.select(resource).where(wanted).order_by(*order).limit(limit).offset(offset)
    return Page(total, [stored_of(row) for row in unit.execute(among(rows, statement))])


def count(unit: Unit, condition: sa.ColumnElement[bool], rows: sa.FromClause = resource) -> int:
    """Return how many resources meet a condition, which says whose they are."""
    statement = sa.select(sa.func.count()).select_from(resource).where(condition)
    found: int = unit.execute(among(rows, statement)).scalar_one()
    return found


def among(rows: sa.FromClause, statement: sa.Select[Any]) -> sa.Select[Any]:
    """Return a statement about ``resource`` as one about other rows with its columns."""
    if rows is resource:
        return statement

    def instead(element: Any, **_options: Any) -> Any:
        if element is resource:
            return rows
        return rows.c[element.name] if isinstance(element, sa.Column) and element.table is resource else None

    moved = cast(sa.Select[Any], replacement_traverse(statement, {}, instead))
    if resource in moved.get_final_froms():
        # Its rows would be those of every tenant.
        raise AssertionError("a part of the statement is about the table still")
    return moved


def stored_of(row: sa.Row[Any]) -> StoredResource:
    """Return a row of the table ``resource``, which may have more columns, as a resource."""
    return StoredResource(row.id, row.type, row.document, row.revision, row.created_at, row.modified_at)


def _expect(current: StoredResource, revision: int | None) -> None:
    if revision is not None and current.revision != revision:
        raise RevisionOutdated(f"{current.type} {current.id!r} was changed in the meantime")


def _refuse_taken(unit: Unit, resource_id: str, content: Content) -> None:
    """Name the attribute whose value is taken; the unique index would refuse it too, but say less."""
    for match in content.match_values:
        if not match.is_unique:
            continue
        taken = unit.execute(
            sa.select(attribute_value.c.resource_id).where(
                attribute_value.c.tenant_id == unit.tenant_id,
                attribute_value.c.attribute == match.attribute,
                attribute_value.c.value == match.value,
                attribute_value.c.is_unique,
                attribute_value.c.resource_id != resource_id,
            )
        ).first()
        if taken is not None:
            raise ValueTaken(f"{match.attribute.rpartition(':')[2]} is taken by another resource")


def _insert_values(unit: Unit, resource_id: str, content: Content) -> None:
    rows = [
        {
            "tenant_id": unit.tenant_id,
            "attribute": match.attribute,
            "value": match.value,
            "resource_id": resource_id,
            "is_unique": match.is_unique,
        }
        for match in content.match_values
    ]
    if rows:
        unit.connection.execute(sa.insert(attribute_value), rows)
