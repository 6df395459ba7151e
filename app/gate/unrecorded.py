"""A recorder that keeps nothing."""

from __future__ import annotations

from app.gate.recorder import Verification


class Unrecorded:
    """Keeps no record of verifications."""

    def record(self, verification: Verification) -> None:
        """Keep nothing."""
