"""A reader that takes people over from the server, as Entra's inbound provisioning does."""

from __future__ import annotations

from datetime import UTC, timedelta
from typing import Any, Final

from conformance.company.journal import Deviates, expect, expect_status
from conformance.exchange import Target
from conformance.rfc.expectations import moment

_PAGE: Final = 5
_BEGINNING: Final = "0001-01-03T00:00:00.0000000Z"
_END: Final = "9999-12-30T23:59:59.9999999Z"


class InboundReader:
    """Reads all active users once, and afterwards those that changed since."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._seen_until: str | None = None
        """The latest ``meta.lastModified`` that was read: the server's clock, never our own."""

    @property
    def has_read(self) -> bool:
        return self._seen_until is not None

    def read_all(self) -> frozenset[str]:
        """Return the ids of all active users.

        :raises Deviates: when the pages cannot be read or do not add up.
        """
        return self._read(_BEGINNING)

    def read_changed(self) -> frozenset[str]:
        """Return the ids of the active users that changed since the last time; all of them the first time.

        :raises Deviates: as :meth:`read_all` does.
        """
        return self._read(self._seen_until or _BEGINNING)

    def _read(self, since: str) -> frozenset[str]:
        asked = f'active eq true and (meta.lastModified ge "{since}" and meta.lastModified le "{_END}")'
        found: list[dict[str, Any]] = []
        start = 0  # Below 1 counts as 1 (RFC 7644 §3.4.2.4), and Entra begins there.
        while True:
            answer = self._target.get("Users", filter=asked, count=_PAGE, startIndex=start)
            expect_status(answer, 200)
            total = answer.document.get("totalResults")
            if not isinstance(total, int):
                raise Deviates(f"a page has no totalResults: {answer.text[:300]}")
            expect(len(answer.resources) <= _PAGE, f"a page of {_PAGE} has {len(answer.resources)} users")
            found += answer.resources
            if len(found) >= total:
                break
            expect(answer.resources, f"{total} users are named and pages end after {len(found)}")
            start = len(found) + 1
        for each in found:
            self._note(each)
        identities = [str(each.get("id")) for each in found]
        expect(len(set(identities)) == len(identities), "the pages show a user twice")
        return frozenset(identities)

    def _note(self, user: dict[str, Any]) -> None:
        meta = user.get("meta")
        text = meta.get("lastModified") if isinstance(meta, dict) else None
        # A little before: a server may keep finer times than it shows.
        changed = moment(text, "meta.lastModified").astimezone(UTC) - timedelta(milliseconds=1)
        since = f"{changed.replace(tzinfo=None).isoformat(timespec='microseconds')}0Z"
        if self._seen_until is None or since > self._seen_until:
            self._seen_until = since
