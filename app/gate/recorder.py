"""What every verification leaves behind to be counted and recorded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Verification:
    """One use of the gate, to be counted and recorded. Times in microseconds.

    :ivar id: the decision's id, also in the answer (``X-Auth-Decision-Id``).
    :ivar at: the moment it was judged at.
    :ivar face: ``verify``, ``introspect``, ``evaluation``, …
    :ivar actor: the gateway's credential, as events name it.
    :ivar reason: the code of the denial.
    :ivar key_id: None when no key is known.
    :ivar entitlements: the ids of those that satisfied the question.
    :ivar took: in nanoseconds.
    """

    id: str
    at: int
    tenant_id: str
    face: str
    actor: str
    allowed: bool
    reason: str | None
    key_id: str | None
    secret_id: str | None
    consumer_id: str | None
    entitlements: tuple[str, ...]
    method: str | None
    path: str | None
    client: str | None
    took: int


class Recorder(Protocol):
    """Takes what verifications leave behind."""

    def record(self, verification: Verification) -> None:
        """Take it, in at most 10 µs; never raises."""
