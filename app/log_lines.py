"""What is logged, by the server, its workers and what folds: lines on stderr, without secrets."""

from __future__ import annotations

import logging
from typing import Any

from app.store.secrets import redacted


class WithoutThreadAdvice(logging.Filter):
    """Drops granian's advice to run no more threads than processors: ours wait for the database."""

    def filter(self, record: logging.LogRecord) -> bool:
        return "Python threads" not in record.getMessage()


class WithoutSecrets(logging.Formatter):
    """Writes a line, and what went wrong, without the secrets that somebody sent where none belongs."""

    def format(self, record: logging.LogRecord) -> str:
        return redacted(super().format(record))


def log_configuration(level: str) -> dict[str, Any]:
    """Return the configuration of all logging, as ``logging.config`` takes it."""
    return {
        "formatters": {
            "line": {
                "()": "app.log_lines.WithoutSecrets",
                "format": "%(asctime)s %(levelname)s %(name)s: %(message)s",
            }
        },
        "filters": {"advice": {"()": "app.log_lines.WithoutThreadAdvice"}},
        "handlers": {
            "stderr": {
                "class": "logging.StreamHandler",
                "stream": "ext://sys.stderr",
                "formatter": "line",
                "filters": ["advice"],
            }
        },
        "root": {"handlers": ["stderr"], "level": level.upper()},
        # The server sets the level of its own logger.
        "loggers": {"_granian": {"handlers": ["stderr"], "propagate": False}},
    }
