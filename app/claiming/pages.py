"""How a page leaves: never stored, never framed, telling no other site where its reader came from."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path
from typing import Any, Final

from flask import Response, render_template

from app.store.moments import rfc3339

LARGEST_FORM: Final = 16 * 1024
"""The largest form, in bytes, unless the application allows even less."""

_TEMPLATES: Final = Path(__file__).parent / "templates"


def _source(name: str) -> str:
    """A text inside a page, as a Content-Security-Policy allows it (CSP 3 §2.3.1)."""
    # Jinja leaves a template's last newline out.
    content = (_TEMPLATES / "claiming" / name).read_bytes().removesuffix(b"\n")
    return f"'sha256-{base64.b64encode(hashlib.sha256(content).digest()).decode()}'"


_HEADERS: Final = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": (
        f"default-src 'none'; style-src {_source('style.css')}; script-src {_source('code.js')}; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
}


def page(template: str, status: int = 200, **shown: Any) -> Response:
    """Return a page made from a template of this room."""
    body = render_template(f"claiming/{template}.html", day=_day, **shown)
    return secured(Response(body, status, mimetype="text/html"))


def message(status: int, title: str, *sentences: str, **shown: Any) -> Response:
    """Return a page that says something, with a link on when ``onward`` and ``onward_text`` are given."""
    return page("message", status, title=title, sentences=sentences, **shown)


def secured(answer: Response) -> Response:
    """Return an answer with the headers of every answer of this room."""
    answer.headers.update(_HEADERS)
    return answer


def _day(moment: int | None) -> str:
    """A time for people: to the minute, in UTC."""
    return "" if moment is None else rfc3339(moment, precision="seconds")[:16].replace("T", " ") + " UTC"
