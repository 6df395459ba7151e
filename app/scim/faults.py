"""Which part of a PATCH an error is about, where the library says it of a larger part."""

from __future__ import annotations

from typing import Any, Final

from scim2_models import Error, InvalidFilterException, InvalidPathException, Path, ScimFilter

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


def _is_read_by(syntax: type[Path[Any]] | type[ScimFilter[Any]], text: str) -> bool:
    try:
        syntax(text)
    except (InvalidPathException, InvalidFilterException):
        return False
    return True
