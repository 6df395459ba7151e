"""Reading the forms of the pages: small, and each field once."""

from __future__ import annotations

from flask import request

from app.claiming.pages import LARGEST_FORM


class FormUnreadable(Exception):
    """The form has not the field that it must have, once."""


def read_field(name: str) -> str:
    """Return a field of the form in the body of the current request.

    :raises FormUnreadable: when it has none of this name, or several.
    :raises RequestEntityTooLarge: when it is over the limit.
    """
    most = request.max_content_length
    request.max_content_length = LARGEST_FORM if most is None else min(most, LARGEST_FORM)
    values = request.form.getlist(name)
    if len(values) != 1:
        raise FormUnreadable(f"the form must have one {name}")
    return values[0].strip()
