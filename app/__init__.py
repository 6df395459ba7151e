"""Keysteward: SCIM in, consumer keys out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from flask import Flask

    from app.settings import Settings


BACKLOG: Final = "keysteward.backlog"
"""Among the extensions of the application: the requests that a worker process carries out beside others."""

FOLLOW_UPS: Final = "keysteward.follow_ups"
"""Among them: what changes left to do, which a worker process does beside serving."""


def create_app(settings: Settings) -> Flask:
    """Join the parts into the application that one worker process serves.

    The database must be of the newest version (see ``app.store.upgrading``).

    :raises PepperUnusable: when the peppers cannot be read.
    """
    # Imported here, so that a room can be imported without the others.
    from flask import Flask
    from werkzeug.exceptions import HTTPException

    from app import health
    from app.access.protector import Protector
    from app.directory.follow_up_worker import FollowUpWorker
    from app.gate import verify
    from app.keys.lifecycle import Minting
    from app.operator import face as operator
    from app.operator.problems import problem_response
    from app.scim.dialects import DIALECTS
    from app.scim.face import ScimFace
    from app.store.engine import create_engine
    from app.store.unit_of_work import Store

    peppers = settings.load_peppers()
    store = Store(create_engine(settings.database_url))
    protector = Protector(store, peppers)
    minting = Minting(peppers, settings.key_brand, settings.key_environment)

    flask = Flask("keysteward", static_folder=None)
    flask.config["MAX_CONTENT_LENGTH"] = settings.max_body_bytes
    flask.register_error_handler(HTTPException, problem_response)
    flask.register_blueprint(health.blueprint(store.engine))
    scim = ScimFace(
        store,
        protector.acquire,
        public_url=settings.public_url,
        max_body=settings.max_body_bytes,
        cursor_secret=peppers.derive("scim cursors"),
        results_kept_for=settings.async_result_seconds,
    )
    scim.init_app(flask)
    flask.extensions[BACKLOG] = scim.deferral.backlog
    flask.extensions[FOLLOW_UPS] = FollowUpWorker(store)
    flask.register_blueprint(operator.blueprint(store, minting, protector.acquire, dialects=tuple(DIALECTS)))
    gate = Protector(store, peppers, header=verify.GATE_HEADER)
    flask.register_blueprint(verify.blueprint(store, peppers, gate.acquire))
    return flask
