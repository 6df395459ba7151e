"""Times as the faces write them: RFC 3339 in UTC."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_LAST: Final = (datetime.max.replace(tzinfo=UTC) - EPOCH) // timedelta(microseconds=1)


def rfc3339(moment: int, *, precision: str = "microseconds") -> str:
    """Return a time in microseconds since 1970 as text such as ``2026-01-31T12:00:00.000000Z``.

    A time after the year 9999, which the text cannot say, is the last moment of that year.

    :param precision: ``"microseconds"``, ``"milliseconds"`` or ``"seconds"``.
    """
    text = (EPOCH + timedelta(microseconds=min(moment, _LAST))).isoformat(timespec=precision)
    return text.replace("+00:00", "Z")
