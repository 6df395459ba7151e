"""Moments between which a right is in force."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Final

from app.rights.conditions.invalid import ConditionInvalid
from app.store.moments import EPOCH

_FORM: Final = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:[Zz]|[+-]\d\d:\d\d)", re.ASCII)


def parse_moment(text: str) -> int:
    """Return a date and time with its zone (RFC 3339 §5.6), in microseconds since 1970.

    :raises ConditionInvalid: when the text is none. A leap second is none: no clock here shows one.
    """
    try:
        # Read to the microsecond: more digits say nothing that a clock here could.
        moment = datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", text.upper()))
        if not _FORM.fullmatch(text) or moment.tzinfo is None:
            raise ValueError
        # Before 1970 is long ago, whenever it was.
        return max((moment - EPOCH) // timedelta(microseconds=1), 0)
    except (ValueError, OverflowError):
        raise ConditionInvalid(
            f"{text[:60]!r} is no date and time with its zone: write 2026-11-30T17:00:00Z"
        ) from None
