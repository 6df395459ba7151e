"""Whether the process lives and the store answers, for whoever watches over them."""

from __future__ import annotations

import sqlalchemy as sa
from flask import Blueprint, Response, jsonify
from sqlalchemy.engine import Engine


def blueprint(engine: Engine) -> Blueprint:
    """Return ``/healthz`` (the process answers) and ``/readyz`` (so does its store)."""
    health = Blueprint("health", __name__)

    @health.get("/healthz")
    def healthz() -> Response:
        return jsonify(status="ok")

    @health.get("/readyz")
    def readyz() -> tuple[Response, int]:
        try:
            with engine.connect() as connection:
                connection.execute(sa.select(1))
        except sa.exc.SQLAlchemyError:
            return jsonify(status="the store does not answer"), 503
        return jsonify(status="ok"), 200

    return health
