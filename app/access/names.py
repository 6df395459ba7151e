"""What people may call things: the names of tenants and connections, the labels of credentials."""

from __future__ import annotations

from app.access.errors import NameInvalid

LONGEST = 100


def checked_name(name: str) -> str:
    """Return the name.

    :raises NameInvalid: when it is empty, longer than 100 characters, begins or ends with a space, or holds
        characters that cannot be seen.
    """
    if not 0 < len(name) <= LONGEST or name != name.strip() or not name.isprintable():
        raise NameInvalid(f"a name has 1 to {LONGEST} visible characters, and no space at its ends")
    return name
