"""The process that folds, beside those that serve: what it does keeps none of their requests waiting.

Python runs one thread of a process at a time, and folding takes about as long as deciding did. Should it end,
one of the workers folds instead.
"""

from __future__ import annotations

import logging.config
import multiprocessing
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Final

from app.gate.folding import Folding
from app.gate.spool import Spool
from app.log_lines import log_configuration
from app.settings import Settings
from app.store.engine import create_engine
from app.store.unit_of_work import Store

NAME: Final = "folding"

GRACE: Final = 10
"""How many seconds it gets to end what it is at, when nobody serves any more."""


@contextmanager
def folding_process(settings: Settings) -> Iterator[None]:
    """Have a process of its own fold for this node while what is enclosed serves.

    It lives as long as this process or one that was forked from it, however they end. Where another process
    of the node folds already, or the spool cannot be had, none is started. It is forked, so no thread may
    have been started before.
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
    forking = multiprocessing.get_context("fork")
    serving, here = forking.Pipe(duplex=False)
    process = forking.Process(target=_fold, args=(settings, spool, serving, here), name=NAME)
    process.start()
    serving.close()
    # It has the lock of the spool from here.
    spool.give_up_folding()
    try:
        yield
    finally:
        here.close()
        process.join(GRACE)
        process.kill()
        process.join()


def _fold(settings: Settings, spool: Spool, serving: Connection, here: Connection) -> None:
    """Fold until nobody holds the other end of a pipe any more, which this process is born with: ``here``."""
    here.close()
    with suppress(OSError):
        # What `ps -e` and `top` call it: its command line is that of the server.
        Path("/proc/self/comm").write_text(NAME, encoding="ascii")
    # Ctrl-C goes to all processes of a terminal; this one ends when the others have.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    logging.config.dictConfig({"version": 1, **log_configuration(settings.log_level)})
    folding = Folding(Store(create_engine(settings.database_url)), spool)
    thread = folding.start()
    with suppress(EOFError):
        serving.recv_bytes()
    folding.stop()
    thread.join()
