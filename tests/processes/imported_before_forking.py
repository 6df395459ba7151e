"""Joins an application, so that what it imports and builds is there when servers are forked."""

from __future__ import annotations

from tempfile import TemporaryDirectory
from threading import active_count

from app import create_app
from app.settings import Settings

with TemporaryDirectory() as folder:
    create_app(Settings.from_environment({"KEYSTEWARD_DATA_DIR": folder}))

assert active_count() == 1, "what is forked would have no other threads"
