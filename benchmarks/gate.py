"""How many verifications a second, beside an empty server, an empty Flask view and others' checks of keys.

All under the same server with the same number of workers, in one run. The rounds are interleaved, so that
what else the machine does falls on all alike. What counts are the ratios; requests a second are of this
machine at this hour.
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

from app.gate.folding import INTERVAL, PAUSE
from app.store.secrets import mint
from benchmarks import peers
from benchmarks.load import Load
from benchmarks.scene import Scene, build, copied, decisions_recorded
from benchmarks.servers import Server

PEOPLE: Final = 200

LASTING: Final = PAUSE + INTERVAL
"""In seconds: so long that what was decided is folded at least once meanwhile."""

EMPTY: Final = "empty WSGI callable"
EMPTY_FLASK: Final = "empty Flask view"
DOOR: Final = "Keysteward, hot door"


@dataclass(frozen=True)
class Contender:
    """What is measured: a server, what it is asked, and the status that each answer must have.

    :ivar records: whether each of its answers must be recorded.
    """

    name: str
    application: str
    keys: str = "good"
    status: int = 200
    records: bool = False


OURS: Final = (
    Contender(EMPTY, "empty"),
    Contender(EMPTY_FLASK, "empty_flask"),
    Contender(DOOR, "door", records=True),
    Contender("Keysteward, garbage keys", "door", "garbage", 401, records=True),
    Contender("Keysteward, Flask view", "view", records=True),
)

PEERS: Final = (
    Contender("Flask-HTTPAuth", "flask_httpauth", "flask_httpauth"),
    Contender("djangorestframework-api-key", "djangorestframework_api_key", "djangorestframework_api_key"),
)


@dataclass(frozen=True)
class Result:
    """Requests a second, the median of the rounds, and the server's processor time for each request.

    ``of_empty`` and ``of_flask`` are medians of what a round's rate was of the two in the same round. The
    processor time includes what is done after the answers.
    """

    name: str
    workers: int
    threads: int
    rates: list[float]
    rate: float
    microseconds: float
    of_empty: float
    of_flask: float


def measure(
    workers: int,
    threads: int,
    rounds: int,
    seconds: float,
    contenders: tuple[Contender, ...],
    people: int = PEOPLE,
) -> dict[str, Result]:
    """Measure contenders side by side; :data:`EMPTY` and :data:`EMPTY_FLASK` must be among them.

    :raises RuntimeError: when a server answers anything but what its contender must get, or does not
        record it.
    """
    with tempfile.TemporaryDirectory(prefix="benchmark-") as name, Load() as load:
        root = Path(name)
        scene = build(root / "scene", people)
        folders, asked = {}, _asked_of_keysteward(scene)
        for application in dict.fromkeys(each.application for each in contenders):
            folders[application] = root / application
            if application in peers.APPLICATIONS:
                folders[application].mkdir()
                asked[application] = _asked_of(application, folders[application], people)
            else:
                copied(root / "scene", folders[application])
        rounds_of = _Rounds(contenders, load, asked)
        servers = {each: Server(each, folder, workers, threads) for each, folder in folders.items()}
        try:
            for server in servers.values():
                server.wait()
            # The first round only warms up.
            rounds_of.run(servers, seconds / 4, counts=False)
            for _ in range(rounds):
                rounds_of.run(servers, seconds, counts=True)
        finally:
            for server in servers.values():
                server.end()
            for server in servers.values():
                server.stop()
        for application, answers in rounds_of.to_be_recorded.items():
            recorded = decisions_recorded(folders[application])
            if recorded < answers:
                raise RuntimeError(f"{application} gave {answers} answers and recorded {recorded}")
    return {each.name: rounds_of.result(each, workers, threads) for each in contenders}


class _Rounds:
    """What the contenders came to in the rounds so far."""

    def __init__(self, contenders: tuple[Contender, ...], load: Load, asked: dict[str, list[bytes]]) -> None:
        self._contenders = contenders
        self._load = load
        self._asked = asked
        self._rates: dict[str, list[float]] = {each.name: [] for each in contenders}
        self._spent: Counter[str] = Counter()
        self._answered: Counter[str] = Counter()
        self.to_be_recorded: Counter[str] = Counter()

    def run(self, servers: dict[str, Server], seconds: float, *, counts: bool) -> None:
        for each in self._contenders:
            server = servers[each.application]
            before = server.processor_seconds()
            found = self._load.measure(server.port, self._asked[each.keys], seconds)
            # What is left for later is this contender's work, and must not fall on the next one.
            if each.records:
                server.settle()
            if set(found.statuses) != {each.status}:
                raise RuntimeError(f"{each.name} answered {dict(found.statuses)}")
            answers = found.statuses.total()
            if each.records:
                self.to_be_recorded[each.application] += answers
            if counts:
                self._rates[each.name].append(found.rate)
                self._spent[each.name] += round((server.processor_seconds() - before) * 1e6)
                self._answered[each.name] += answers

    def result(self, contender: Contender, workers: int, threads: int) -> Result:
        rates = self._rates[contender.name]
        return Result(
            contender.name,
            workers,
            threads,
            [round(rate) for rate in rates],
            round(median(rates)),
            round(self._spent[contender.name] / self._answered[contender.name], 1),
            round(self._of(rates, EMPTY), 3),
            round(self._of(rates, EMPTY_FLASK), 2),
        )

    def _of(self, rates: list[float], other: str) -> float:
        return median(one / another for one, another in zip(rates, self._rates[other], strict=True))


def _asked_of_keysteward(scene: Scene) -> dict[str, list[bytes]]:
    # Of the form of keys, each with the checksum of another one.
    garbage = [f"{secret[:-6]}{mint('ks', 'live').text[-6:]}" for secret in scene.secrets]
    token = f"X-Gate-Authorization: Bearer {scene.token}\r\n"
    return {
        "good": [_request(f"{token}Authorization: Bearer {key}") for key in scene.secrets],
        "garbage": [_request(f"{token}Authorization: Bearer {key}") for key in garbage],
    }


def _asked_of(peer: str, folder: Path, count: int) -> list[bytes]:
    scheme = "Api-Key" if peer == "djangorestframework_api_key" else "Bearer"
    return [_request(f"Authorization: {scheme} {key}") for key in peers.new_keys(peer, folder, count)]


def _request(credentials: str) -> bytes:
    """Return what a gateway such as nginx sends."""
    return (
        "GET /gate/verify?scope=orders.read HTTP/1.1\r\nHost: gate\r\n"
        f"{credentials}\r\n"
        "X-Original-Method: GET\r\nX-Original-URI: /orders/7?page=2\r\n"
        "User-Agent: benchmark\r\nAccept: */*\r\n\r\n"
    ).encode()


@click.command()
@click.option("--workers", default=[1, 2], multiple=True, help="Worker processes; give it several times.")
@click.option("--threads", default=[8], multiple=True, help="Threads of each; give it several times.")
@click.option("--rounds", default=5, help="Rounds that count.")
@click.option("--seconds", default=LASTING, help="How long each round of each contender lasts.")
@click.option("--peers/--no-peers", "with_peers", default=True, help="Whether others are measured as well.")
@click.option("--json", "path", type=click.Path(path_type=Path), help="Write the results to a file as well.")
def main(
    workers: tuple[int, ...],
    threads: tuple[int, ...],
    rounds: int,
    seconds: float,
    with_peers: bool,
    path: Path | None,
) -> None:
    """Measure the gate beside an empty server and beside other people's checks of API keys."""
    if with_peers and (missing := peers.missing()):
        raise click.ClickException(
            f"not installed: {', '.join(missing)}; `make benchmark` installs them, --no-peers leaves them out"
        )
    contenders = (*OURS, *PEERS) if with_peers else OURS
    results = [
        each
        for count in workers
        for each_has in threads
        for each in measure(count, each_has, rounds, seconds, contenders).values()
    ]
    measured = ("requests/s", "of empty WSGI", "of empty Flask", "server µs/request")
    table = Table("", "workers", "threads", *measured)
    for each in results:
        table.add_row(
            each.name,
            str(each.workers),
            str(each.threads),
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
