"""What is wrong with the paths of a PATCH, where the library says it of a larger part or does not say it."""

from __future__ import annotations

from typing import Any, Final

from scim2_models import Error, InvalidFilterException, InvalidPathException, PatchOp, Path, ScimFilter
from scim2_models.path import Comparison, Present

from app.directory.bindings import complex_model, is_plain_value
from app.directory.filters import leaves
from app.scim.members import member

_INVALID_PATH: Final = "invalidPath"


def located(error: Error, patch: Any) -> Error:
    """Return the error of a PATCH as RFC 7644 §3.12 names it.

    A path is wrong as a path, unless what is malformed is the filter in its brackets: that is
    ``invalidFilter``.

    :param patch: the body of the request, as it was parsed.
    """
    operations = member(patch, "Operations")
    if error.scim_type != _INVALID_PATH or not isinstance(operations, list):
        return error
    paths = [path for each in operations if isinstance(path := member(each, "path"), str)]
    # The first path that is none is the one that was reported.
    malformed = next((path for path in paths if not _is_read_by(Path, path)), "")
    attribute, bracket, rest = malformed.partition("[")
    if not bracket or not _is_read_by(Path, attribute) or _is_read_by(ScimFilter, rest.rpartition("]")[0]):
        return error
    return InvalidFilterException(detail=f"In the brackets of the path: {error.detail}").to_error()


def check_selections(patch_op: PatchOp[Any]) -> None:
    """Refuse paths that select plain values by something else than ``value``, which is all that they have.

    The library takes it for false, so that ``not`` of it would be true of every value.

    :raises InvalidFilterException: when there is one.
    """
    for operation in patch_op.operations or ():
        path = operation.path
        if path is None or path.value_filter is None:
            continue
        binding = type(path)(str(path).partition("[")[0]).resolve()
        if binding is None or complex_model(binding.field_type) is not None:
            continue
        for leaf in leaves(path.value_filter):
            if not (isinstance(leaf, Comparison | Present) and is_plain_value(leaf.attr_path)):
                raise InvalidFilterException(
                    detail=f"{binding.urn} has plain values: in its brackets they are called value"
                )


def _is_read_by(syntax: type[Path[Any]] | type[ScimFilter[Any]], text: str) -> bool:
    try:
        syntax(text)
    except (InvalidPathException, InvalidFilterException):
        return False
    return True
