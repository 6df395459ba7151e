"""A process that records decisions and folds them, as fast as it can, until it is killed.

It prints tenant and id of each decision when it is recorded, and a line whenever it has folded. Arguments:
database URL, folder of the spool, tenants.
"""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path

from verifications import verification

from app.gate import spool as spooling
from app.gate.folding import Folding
from app.gate.recorder import SpoolRecorder
from app.gate.spool import Spool
from app.store.engine import create_engine
from app.store.unit_of_work import Store

FOLDED = "folded"


def main(database_url: str, folder: str, *tenants: str) -> None:
    # Segments come and go many times a second.
    spooling.SEGMENT_BYTES = 20_000
    spool = Spool(Path(folder), most_bytes=10**9)
    recorder = SpoolRecorder(spool)
    pause = threading.Event()

    def record() -> None:
        while True:
            for tenant in tenants:
                one = verification(tenant)
                recorder.record(one)
                os.write(1, f"{tenant} {one.id}\n".encode())
            pause.wait(0.001)

    for _ in range(3):
        threading.Thread(target=record, daemon=True).start()
    folding = Folding(Store(create_engine(database_url)), spool)
    while True:
        spool.tend()
        if spool.claim_folding() and folding.fold_all():
            os.write(1, f"{FOLDED} -\n".encode())
        pause.wait(0.005)


if __name__ == "__main__":
    main(*sys.argv[1:])
