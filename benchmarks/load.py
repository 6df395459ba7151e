"""A load generator: several processes, each asking as fast as it can over keep-alive connections."""

from __future__ import annotations

import re
import selectors
import socket
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import cycle
from multiprocessing import get_context
from types import TracebackType
from typing import Final, Self

_LENGTH: Final = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


@dataclass(frozen=True)
class Measured:
    """What a load found: requests a second, and how often each status was the answer."""

    rate: float
    statuses: Counter[int]


class Load:
    """Generator processes that stay between measurements.

    :param processes: how many there are.
    :param connections: how many each has at the same time.
    """

    def __init__(self, processes: int = 2, connections: int = 8) -> None:
        self._processes = processes
        self._connections = connections
        self._pool = ProcessPoolExecutor(processes, mp_context=get_context("spawn"))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown()

    def measure(self, port: int, requests: Sequence[bytes], seconds: float) -> Measured:
        """Send the requests in turn for some seconds to a port of this machine.

        :raises ConnectionError: when the server closes a connection.
        :raises ValueError: when an answer has no ``Content-Length``.
        """
        shares = [
            self._pool.submit(_ask, port, requests, number, self._connections, seconds)
            for number in range(self._processes)
        ]
        rate, statuses = 0.0, Counter[int]()
        for share in shares:
            took, answered = share.result()
            rate += answered.total() / took
            statuses += answered
        return Measured(rate, statuses)


def _ask(
    port: int, requests: Sequence[bytes], first: int, connections: int, seconds: float
) -> tuple[float, Counter[int]]:
    # Generators begin at different requests, so that they do not ask the same at the same time.
    begin = first * len(requests) // 2 % len(requests)
    following = cycle([*requests[begin:], *requests[:begin]])
    statuses: Counter[int] = Counter()
    with selectors.DefaultSelector() as selector:
        for _ in range(connections):
            connection = socket.create_connection(("127.0.0.1", port))
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            selector.register(connection, selectors.EVENT_READ, bytearray())
        started = time.perf_counter()
        deadline = started + seconds
        for open_ in selector.get_map().values():
            _socket(open_).sendall(next(following))
        while time.perf_counter() < deadline:
            for ready, _ in selector.select(1):
                received: bytearray = ready.data
                piece = _socket(ready).recv(65536)
                if not piece:
                    raise ConnectionError("the server closed a connection")
                received += piece
                status = _status_of_whole(received)
                if status is not None:
                    statuses[status] += 1
                    received.clear()
                    _socket(ready).sendall(next(following))
        took = time.perf_counter() - started
        for open_ in list(selector.get_map().values()):
            _socket(open_).close()
    return took, statuses


def _socket(key: selectors.SelectorKey) -> socket.socket:
    assert isinstance(key.fileobj, socket.socket)
    return key.fileobj


def _status_of_whole(received: bytearray) -> int | None:
    """Return the status of an answer that is there as a whole, or None.

    :raises ValueError: when it has no ``Content-Length``.
    """
    end = received.find(b"\r\n\r\n")
    if end < 0:
        return None
    length = _LENGTH.search(received, 0, end)
    if length is None:
        raise ValueError("an answer does not say how long it is")
    expected = end + 4 + int(length[1])
    return int(received[9:12]) if len(received) >= expected else None
