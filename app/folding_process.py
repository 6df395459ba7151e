"""The process that folds, beside those that serve: what it does keeps none of their requests waiting.

Python runs one thread of a process at a time, and folding takes about as long as deciding did. Should it end,
one of the workers folds instead.
"""

from __future__ import annotations

import logging.config
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from app.gate.folding import Folding
from app.gate.spool import Spool
from app.log_lines import log_configuration
from app.settings import Settings
from app.store.engine import create_engine
from app.store.unit_of_work import Store

GRACE: Final = 10
"""How many seconds it gets to end what it is at, when nobody serves any more."""


@contextmanager
def folding_process(settings: Settings) -> Iterator[None]:
    """Have a process of its own fold for this node while what is enclosed serves.

    It lives as long as this process or one that was forked from it, however they end. Where another process
    of the node folds already, or the spool cannot be had, none is started.
    """
    spool = Spool(settings.spool_folder, most_bytes=settings.spool_bytes)
    try:
        is_claimed = spool.claim_folding()
    except OSError:
        # The gate denies then, and its workers say why.
        is_claimed = False
    if not is_claimed:
        yield
        return
    claim = spool.hand_over_folding()
    # Not from the folder that one happens to be in, whatever packages that has.
    command = [sys.executable, "-P", "-m", "app.folding_process", str(claim)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, pass_fds=(claim,))  # noqa: S603
    spool.give_up_folding()
    try:
        yield
    finally:
        assert process.stdin is not None
        process.stdin.close()
        try:
            process.wait(GRACE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def main() -> None:
    """Fold until nobody holds the other end of the standard input any more."""
    # Ctrl-C goes to all processes of a terminal; this one ends when the others have.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    settings = Settings.from_environment()
    logging.config.dictConfig({"version": 1, **log_configuration(settings.log_level)})
    spool = Spool(settings.spool_folder, most_bytes=settings.spool_bytes, claim=int(sys.argv[1]))
    folding = Folding(Store(create_engine(settings.database_url)), spool)
    thread = folding.start()
    sys.stdin.buffer.read()
    folding.stop()
    thread.join()


if __name__ == "__main__":
    main()
