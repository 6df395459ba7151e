"""Circular references of a bulk request: a creation that refers to what another one has yet to make.

The library refuses these, which RFC 7644 §3.7.1 allows only after an attempt. Here the one that comes first
is made without the reference, and is given it as soon as what it refers to is there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final, cast

from pydantic import BaseModel
from scim2_models import BulkOperation, ConflictException, Extension, Resource, ResourceType
from scim2_server.bulk import BULK_ID_PREFIX, BulkPlan, BulkStep
from scim2_server.conditions import Conditions
from scim2_server.handler import ScimHandler
from scim2_server.requests import ScimRequest

_ABSENT: Final = object()


@dataclass(frozen=True)
class Completion(BulkStep):
    """The second step of a creation: it gets the references that its first one left out."""


class DirectoryBulkPlan(BulkPlan):
    """A plan that makes circular references in two steps."""

    def __init__(self, operations: list[BulkOperation[Resource[Any]]], fail_on_errors: int | None) -> None:
        super().__init__(operations, fail_on_errors)
        # The creations that are made without what others have yet to make, each with the places of those.
        self._incomplete: dict[int, frozenset[int]] = {}

    def __iter__(self) -> Iterator[BulkStep]:
        """Yield the steps to run; a creation is completed as soon as it is known what it refers to."""
        for step in self.steps:
            if self.stopped:
                break
            if self.operations[step.index].method == BulkOperation.Method.post:
                missing = frozenset(self.dependencies(step.index)) - self.results.keys()
                if missing:
                    self._incomplete[step.index] = missing
            yield step
            yield from self._completions(lambda missing: missing <= self.results.keys())
        # What is not made by now will not be: they fail.
        yield from self._completions(lambda missing: True)

    def _completions(self, due: Callable[[frozenset[int]], bool]) -> Iterator[Completion]:
        # Each is looked for anew: one that fails takes others back.
        while (
            index := next((each for each in self._incomplete if due(self._incomplete[each])), None)
        ) is not None:
            del self._incomplete[index]
            yield Completion(index)

    def operation(self, step: BulkStep) -> BulkOperation[Resource[Any]]:
        """Return the operation of a step; a creation that is completed later is without what it waits for."""
        operation = super().operation(step)
        missing = self._incomplete.get(step.index)
        if missing is None:
            return operation
        bulk_ids = frozenset(str(self.operations[each].bulk_id) for each in missing)
        return operation.model_copy(update={"data": without(operation.data, bulk_ids)})

    def record(self, step: BulkStep, result: dict[str, Any], resource: Resource[Any] | None) -> None:
        super().record(step, result, resource)
        if result["status"] >= 400:
            self._incomplete.pop(step.index, None)

    def take_back(self, index: int) -> Iterator[tuple[int, str]]:
        """Forget what a creation made, and what was made with a reference to it; yield each with its id."""
        referring: dict[int, list[int]] = {}
        for other in self.creations.values():
            for dependency in self.dependencies(other):
                referring.setdefault(dependency, []).append(other)
        doomed = [index]
        while doomed:
            each = doomed.pop()
            made = self.created.pop(str(self.operations[each].bulk_id), None)
            if made is not None:
                self._incomplete.pop(each, None)
                doomed += referring.get(each, [])
                yield each, str(made.id)


class BulkHandler(ScimHandler):
    """Runs plans that have completions."""

    def run_bulk_step(
        self, request: ScimRequest, plan: BulkPlan, step: BulkStep
    ) -> tuple[dict[str, Any], Resource[Any] | None]:
        """Apply one step; a creation that cannot be completed is taken back with those that refer to it."""
        if not (isinstance(step, Completion) and isinstance(plan, DirectoryBulkPlan)):
            return super().run_bulk_step(request, plan, step)
        operation, service = plan.operation(step), self.service
        resource_type = cast(ResourceType, service.route_bulk_operation(operation))
        made = str(plan.created[str(operation.bulk_id)].id)
        outcome = service.bulk_outcome(request.base_url, operation)
        try:
            whole = cast(Resource[Any], plan.resolve(step).data)
            with self.storage.operation():
                current = self.storage.get(resource_type, made)
                resource = self.replace_resource(resource_type, current, whole, Conditions())
        except Exception as exception:
            cause = service.error_of(exception).detail
            detail = f"What refers to each other by bulkIds cannot be made together: {cause}"
            return self._taken_back(request, plan, step, ConflictException(detail=detail)), None
        return service.bulk_success(request.base_url, operation, outcome, resource), resource

    def _taken_back(
        self, request: ScimRequest, plan: DirectoryBulkPlan, step: BulkStep, conflict: ConflictException
    ) -> dict[str, Any]:
        """Remove what a creation made, and others with a reference to it; return its result."""
        results = {}
        for index, made in plan.take_back(step.index):
            operation = plan.operations[index]
            with self.storage.operation():
                self.storage.delete(cast(ResourceType, self.service.route_bulk_operation(operation)), made)
            outcome = self.service.bulk_outcome(request.base_url, operation)
            results[index] = self.service.bulk_failure(outcome, conflict)
            if index != step.index:
                plan.record(BulkStep(index), results[index], None)
        return results[step.index]


def without(value: Any, bulk_ids: frozenset[str]) -> Any:
    """Return what an operation sends without the elements and attributes that refer to some bulkIds."""
    if isinstance(value, str) and value.removeprefix(BULK_ID_PREFIX) in bulk_ids:
        return _ABSENT if value.startswith(BULK_ID_PREFIX) else value
    if isinstance(value, list):
        return [left for each in value if (left := without(each, bulk_ids)) is not _ABSENT]
    if isinstance(value, dict):
        kept = {name: without(each, bulk_ids) for name, each in value.items()}
        return _ABSENT if any(each is _ABSENT for each in kept.values()) else kept
    if isinstance(value, BaseModel):
        left_out, kept = [], {}
        for name in value.model_fields_set & type(value).model_fields.keys():
            before = getattr(value, name)
            after = without(before, bulk_ids)
            if after is _ABSENT:
                left_out.append(name)
            elif after is not before:
                kept[name] = after
        if left_out and not isinstance(value, Resource | Extension):
            return _ABSENT
        return value.model_copy(update={**kept, **dict.fromkeys(left_out)})
    return value
