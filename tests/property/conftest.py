"""The whole application, for the tests that drive it."""

from tests.http.conftest import app, found, settings

__all__ = ["app", "found", "settings"]
