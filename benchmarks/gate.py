"""How many verifications a second, beside an empty server and an empty Flask view, measured in one run.

The rounds of all are interleaved, so that what else the machine does falls on all alike. What counts are the
ratios; requests a second are of this machine at this hour.
"""

from __future__ import annotations

import json
import platform
import tempfile
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Final

import click
from rich.console import Console
from rich.table import Table

from app.store.secrets import mint
from benchmarks.load import Load
from benchmarks.scene import Scene, build
from benchmarks.servers import Server

PEOPLE: Final = 200


@dataclass(frozen=True)
class Contender:
    """What is measured: a server, what it is asked, and the status that each answer must have."""

    name: str
    application: str
    keys: str = "good"
    status: int = 200


CONTENDERS: Final = (
    Contender("empty WSGI callable", "empty"),
    Contender("empty Flask view", "empty_flask"),
    Contender("/gate/verify, hot door", "door"),
    Contender("/gate/verify, Flask view", "view"),
    Contender("garbage keys, hot door", "door", "garbage", 401),
)


@dataclass(frozen=True)
class Result:
    """Requests a second, the median of the rounds, and the server's processor time for each request."""

    name: str
    workers: int
    rates: list[float]
    rate: float
    microseconds: float
    of_empty: float
    of_flask: float


def measure(workers: int, rounds: int, seconds: float, contenders: tuple[Contender, ...]) -> list[Result]:
    """Measure contenders side by side; the first two are what the others are compared with.

    :raises RuntimeError: when a server answers anything but what its contender must get.
    """
    with tempfile.TemporaryDirectory(prefix="benchmark-") as name, Load() as load:
        scene = build(Path(name), PEOPLE)
        asked = {
            "good": _requests(scene.token, scene.secrets),
            "garbage": _requests(scene.token, _garbage(scene)),
        }
        servers = {
            application: Server(application, Path(name), workers)
            for application in dict.fromkeys(each.application for each in contenders)
        }
        rates: dict[str, list[float]] = {each.name: [] for each in contenders}
        spent = dict.fromkeys(rates, 0.0)
        answered: Counter[str] = Counter()
        try:
            for server in servers.values():
                server.wait()
            for number in range(rounds + 1):
                for each in contenders:
                    server = servers[each.application]
                    before = server.processor_seconds()
                    # The first round only warms up.
                    found = load.measure(server.port, asked[each.keys], seconds if number else seconds / 4)
                    if set(found.statuses) != {each.status}:
                        raise RuntimeError(f"{each.name} answered {dict(found.statuses)}")
                    if number:
                        rates[each.name].append(found.rate)
                        spent[each.name] += server.processor_seconds() - before
                        answered[each.name] += found.statuses.total()
        finally:
            for server in servers.values():
                server.stop()
    empty, flask = (median(rates[each.name]) for each in contenders[:2])
    return [
        Result(
            each.name,
            workers,
            [round(rate) for rate in rates[each.name]],
            round(median(rates[each.name])),
            round(spent[each.name] / answered[each.name] * 1e6, 1),
            round(median(rates[each.name]) / empty, 3),
            round(median(rates[each.name]) / flask, 2),
        )
        for each in contenders
    ]


def _requests(token: str, keys: tuple[str, ...]) -> list[bytes]:
    """Return what a gateway such as nginx sends for each key."""
    return [
        (
            "GET /gate/verify?scope=orders.read HTTP/1.1\r\nHost: gate\r\n"
            f"X-Gate-Authorization: Bearer {token}\r\nAuthorization: Bearer {key}\r\n"
            "X-Original-Method: GET\r\nX-Original-URI: /orders/7?page=2\r\n"
            "User-Agent: benchmark\r\nAccept: */*\r\n\r\n"
        ).encode()
        for key in keys
    ]


def _garbage(scene: Scene) -> tuple[str, ...]:
    """Return texts of the form of keys, each with the checksum of another one."""
    return tuple(f"{secret[:-6]}{mint('ks', 'live').text[-6:]}" for secret in scene.secrets)


@click.command()
@click.option("--workers", default=[1, 2], multiple=True, help="Worker processes; give it several times.")
@click.option("--rounds", default=7, help="Rounds that count.")
@click.option("--seconds", default=2.0, help="How long each round of each contender lasts.")
@click.option("--json", "path", type=click.Path(path_type=Path), help="Write the results to a file as well.")
def main(workers: tuple[int, ...], rounds: int, seconds: float, path: Path | None) -> None:
    """Measure the gate beside an empty server."""
    results = [each for count in workers for each in measure(count, rounds, seconds, CONTENDERS)]
    table = Table("", "workers", "requests/s", "of empty WSGI", "of empty Flask", "server µs/request")
    for each in results:
        table.add_row(
            each.name,
            str(each.workers),
            f"{each.rate:,.0f}",
            f"{each.of_empty:.0%}",
            f"{each.of_flask:.2f} x",
            f"{each.microseconds:.1f}",
        )
    Console(width=120).print(table)
    if path is not None:
        machine = {"python": platform.python_version(), "system": platform.platform()}
        path.write_text(json.dumps({**machine, "results": [asdict(each) for each in results]}, indent=2))


if __name__ == "__main__":
    main()
