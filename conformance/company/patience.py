"""A target that waits and asks again when the server asks for a pause."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from conformance.exchange import Answer, Target

PAUSE_WITHOUT_WORD_SECONDS: Final = 60
MOST_PAUSES: Final = 10


@dataclass
class PatientTarget(Target):
    """Waits for as many seconds as a 429 says in ``Retry-After`` (RFC 9110 §10.2.3), a minute without it."""

    wait: Callable[[float], None] = time.sleep

    def send(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        query: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        content: bytes | None = None,
        with_credential: bool = True,
    ) -> Answer:
        """Send a request as :meth:`Target.send` does; the last answer is returned, 429 too."""
        for number in range(MOST_PAUSES):
            answer = super().send(
                method,
                path,
                body,
                query=query,
                headers=headers,
                content=content,
                with_credential=with_credential,
            )
            if answer.status != 429 or number == MOST_PAUSES - 1:
                break
            said = str(answer.headers.get("retry-after", ""))
            whole = said.isascii() and said.isdigit()
            self.wait(int(said) if whole else PAUSE_WITHOUT_WORD_SECONDS)
        return answer


def patient(target: Target, wait: Callable[[float], None] = time.sleep) -> PatientTarget:
    """Return the same server with patience; what is made through it is remembered by the given target."""
    return PatientTarget(target.client, created=target.created, wait=wait)
