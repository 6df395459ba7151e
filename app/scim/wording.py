"""Error texts that an administrator can read: Okta shows them in its task list."""

from __future__ import annotations

import re
from typing import Final

from app.store.secrets import redacted

LONGEST: Final = 1_000
"""How many characters the text of an error has at most: more is no reading for an administrator."""

_HEADER: Final = re.compile(r"\d+ validation errors? for ")
_PARTICULARS: Final = re.compile(r" \[type=.*\]$")


def plain(detail: str) -> str:
    """Return the text of an error without what only a programmer of the models could use.

    The library passes on some validation reports as they are, with the value that was sent, Python types and
    a link; what is kept is where the fault is and what it is. A text that repeats a long path or filter is
    cut.
    """
    if not _HEADER.match(detail):
        return _cut(detail)
    faults = []
    place = ""
    for line in detail.splitlines()[1:]:
        if not line.startswith(" "):
            place = line
        elif "For further information visit" not in line:
            faults.append(f"{place}: {_PARTICULARS.sub('', line.strip())}")
    return _cut("; ".join(faults)) or "a value is not of the type that its attribute has"


def _cut(text: str) -> str:
    text = redacted(text)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"
