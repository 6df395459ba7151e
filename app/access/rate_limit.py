"""How many requests a connection may send: a bucket that fills steadily, one for each connection."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from math import ceil
from typing import Final

LEAST_SHARE: Final = 25.0
"""What a worker lets through by itself, in requests a second, where the limit is not lower.

Identity providers keep a connection open, and with it reach one worker. Entra's checklist asks for this rate.
"""


class TooManyRequests(Exception):
    """The connection has sent more requests than it may.

    :ivar retry_after: after how many whole seconds it may go on, at least one.
    """

    def __init__(self, retry_after: int) -> None:
        super().__init__("This connection sends more requests than it may; go on after Retry-After")
        self.retry_after = retry_after


@dataclass
class _Bucket:
    left: float
    filled_at: float


class RateLimit:
    """Lets a connection send so many requests a second, and some more at once.

    Each worker process counts by itself, what reaches it, against its share: the limit divided by the number
    of workers, but not less than 25 a second (or the limit, where that is lower). So in ``t`` seconds all
    together let no more through than ``workers * (size + share * t)``, which is ``burst + per_second * t``
    where the shares need not be raised. Who waits for as long as he is told gets through.

    :param per_second: for the whole installation.
    :param burst: how many may come at once, for the whole installation; without it, twice ``per_second``.
    :param workers: how many processes share it.
    """

    def __init__(
        self,
        per_second: float,
        *,
        burst: float | None = None,
        workers: int = 1,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.share = max(per_second / workers, min(per_second, LEAST_SHARE))
        # A share of the burst as large as that of the rate.
        self.size = max((2 * per_second if burst is None else burst) * self.share / per_second, 1.0)
        self._clock = clock
        self._buckets: dict[str, _Bucket] = {}
        self._lock = threading.Lock()

    def take(self, connection_id: str) -> None:
        """Count a request.

        :raises TooManyRequests: when it is one too many; it does not count then.
        """
        now = self._clock()
        with self._lock:
            bucket = self._buckets.setdefault(connection_id, _Bucket(self.size, now))
            # Another thread may have looked at the clock later and come first.
            passed = max(0.0, now - bucket.filled_at)
            bucket.left = min(self.size, bucket.left + passed * self.share)
            bucket.filled_at += passed
            if bucket.left < 1:
                raise TooManyRequests(max(1, ceil((1 - bucket.left) / self.share)))
            bucket.left -= 1
