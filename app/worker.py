"""What each worker process of the server runs."""

from __future__ import annotations

import gc
import os
import signal
from typing import TYPE_CHECKING

from app import BACKLOG, ERASING, FOLDING, FOLLOW_UPS, VERIFY, WATCH, create_app
from app.bodies import KnownLength
from app.gate.door import Door
from app.settings import SECRET_VARIABLES, Settings

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication


def load() -> WSGIApplication:
    """Return the application, with settings from the environment."""
    # A worker is born with the handlers of the server, which mean nothing here: told to stop too early,
    # it would live on. It gets handlers of its own when this is done.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)
    settings = Settings.from_environment()
    # The server copies the environment of the process into that of every request: no place for secrets.
    for name in SECRET_VARIABLES:
        os.environ.pop(name, None)
    app = create_app(settings)
    app.extensions[BACKLOG].start()
    app.extensions[FOLLOW_UPS].start()
    app.extensions[ERASING].start()
    app.extensions[FOLDING].start()
    app.extensions[WATCH].start()
    # What is there now stays: a full collection that looked through all of it would stand requests still for
    # as long as a look-up may take (80 ms).
    gc.collect()
    gc.freeze()
    return Door(app.extensions[VERIFY], KnownLength(app, settings.max_body_bytes))
