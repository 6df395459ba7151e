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

AFTERWARDS: Final = "keysteward.afterwards"
"""Among them: what verifications left to be written, which a thread of the process does beside serving."""

VERIFY: Final = "keysteward.verify"
"""Among them: what answers gateways, which the hot door asks past Flask."""

FOLDING: Final = "keysteward.folding"
"""Among them: what folds decisions from the spool into the store."""

ERASING: Final = "keysteward.erasing"
"""Among them: what erases secrets and requests that are kept for a short time only."""

WATCH: Final = "keysteward.watch"
"""Among them: what logs the warnings that operators see."""


def create_app(settings: Settings) -> Flask:
    """Join the parts into the application that one worker process serves.

    The database must be of the newest version (see ``app.store.upgrading``).

    :raises PepperUnusable: when the peppers cannot be read.
    :raises SchemasInvalid: when the resource types and schemas do not fit together.
    """
    # Imported here, so that a room can be imported without the others.
    from flask import Flask
    from werkzeug.exceptions import HTTPException

    from app import health
    from app.access.global_revocation import Revokers
    from app.access.login import Login
    from app.access.login_provider import ClientSecrets
    from app.access.protector import Protector
    from app.access.rate_limit import RateLimit
    from app.access.signing_keys import SigningKeys
    from app.access.token_face import TokenFace
    from app.access.watch import Watch
    from app.claiming import link_face
    from app.claiming.consumer_face import ConsumerFace
    from app.claiming.holdings import consumers_named
    from app.directory.follow_up_worker import FollowUpWorker
    from app.gate import introspection, metrics
    from app.gate.afterwards import Afterwards
    from app.gate.authzen.face import AuthzenFace
    from app.gate.client import ClientAddress
    from app.gate.folding import Folding
    from app.gate.limits import CountedLimits
    from app.gate.recorder import SpoolRecorder
    from app.gate.signing import Signer
    from app.gate.spool import Spool
    from app.gate.status_list import StatusLists
    from app.gate.verification import Gate
    from app.gate.verify import Verify
    from app.keys.erasing import Erasing
    from app.keys.lifecycle import Minting
    from app.operator import brakes_face, claims_face, clients_face, plan_face, revocation, usage_face
    from app.operator import face as operator
    from app.operator.openapi import document as openapi
    from app.operator.planner import Planner
    from app.operator.problems import problem_response
    from app.scim.dialects import DEFAULT_DIALECT, DIALECTS
    from app.scim.face import ScimFace
    from app.scim.precis import user_name_key
    from app.scim.rehearsal import Rehearsal
    from app.store.engine import create_engine
    from app.store.limit_use import limit_uses
    from app.store.unit_of_work import Store

    peppers = settings.load_peppers()
    store = Store(create_engine(settings.database_url))
    protector = Protector(store, peppers)
    minting = Minting(peppers, settings.key_brand, settings.key_environment)

    flask = Flask("keysteward", static_folder=None)
    flask.config["MAX_CONTENT_LENGTH"] = settings.max_body_bytes
    flask.register_error_handler(HTTPException, problem_response)
    flask.register_blueprint(health.blueprint(store.engine))
    rate_limit = RateLimit(
        settings.connection_requests_per_second, burst=settings.connection_burst, workers=settings.workers
    )
    scim = ScimFace(
        store,
        protector.acquire,
        public_url=settings.public_url,
        max_body=settings.max_body_bytes,
        cursor_secret=peppers.derive("scim cursors"),
        results_kept_for=settings.async_result_seconds,
        rate_limit=rate_limit,
        schemas_dir=settings.schemas_dir,
    )
    scim.init_app(flask)
    keys = SigningKeys(loopback=settings.loopback_issuers)
    TokenFace(store, peppers, issuer=settings.root_url, keys=keys, rate_limit=rate_limit).init_app(flask)
    flask.extensions[WATCH] = Watch(store, silent_after=settings.silent_after_cycles)
    flask.extensions[BACKLOG] = scim.deferral.backlog
    flask.extensions[FOLLOW_UPS] = FollowUpWorker(store)
    flask.register_blueprint(
        operator.blueprint(
            store,
            minting,
            protector.acquire,
            dialects=tuple(DIALECTS),
            silent_after=settings.silent_after_cycles,
        )
    )
    flask.register_blueprint(
        clients_face.blueprint(
            store,
            protector.acquire,
            silent_after=settings.silent_after_cycles,
            loopback=settings.loopback_issuers,
            root_url=settings.root_url,
        )
    )
    flask.register_blueprint(brakes_face.blueprint(store, protector.acquire))
    rehearsal = Rehearsal(lambda dialect: scim.services[dialect or DEFAULT_DIALECT])
    flask.register_blueprint(
        plan_face.blueprint(Planner(store, rehearsal, tuple(DIALECTS)), protector.acquire)
    )
    client_secrets = ClientSecrets(settings.login_secrets_folder)
    flask.register_blueprint(
        claims_face.blueprint(
            store,
            minting,
            protector.acquire,
            client_secrets,
            root_url=settings.root_url,
            loopback=settings.loopback_issuers,
        )
    )
    flask.register_blueprint(link_face.blueprint(store, minting, root_url=settings.root_url))
    login = Login(client_secrets, loopback=settings.loopback_issuers)
    ConsumerFace(store, minting, login, root_url=settings.root_url, user_name_key=user_name_key).init_app(
        flask
    )
    limits = CountedLimits(limit_uses(store.engine, settings.data_dir / "limits.sqlite3"))
    flask.extensions[ERASING] = Erasing(store, limits.forget)
    revokers = Revokers(store, keys, root_url=settings.root_url, rate_limit=rate_limit)
    flask.register_blueprint(revocation.blueprint(store, peppers, protector, revokers))
    flask.register_blueprint(openapi.blueprint())
    afterwards = Afterwards(store)
    flask.extensions[AFTERWARDS] = afterwards
    spool = Spool(settings.spool_folder, most_bytes=settings.spool_bytes)
    flask.extensions[FOLDING] = Folding(store, spool)
    flask.register_blueprint(usage_face.blueprint(store, protector.acquire))
    flask.register_blueprint(metrics.blueprint(store, spool, settings.metrics_token))
    recorder = SpoolRecorder(spool, required=settings.unrecorded_decisions == "deny")
    gate = Gate(store, peppers, afterwards, recorder, limits)
    verify = Verify(gate, ClientAddress(settings.trusted_proxies or ()))
    flask.extensions[VERIFY] = verify
    flask.register_blueprint(verify.blueprint())
    signer = Signer(peppers)
    lists = StatusLists(store, signer, root_url=settings.root_url)
    lists.init_app(flask)
    flask.register_blueprint(
        introspection.blueprint(gate, protector.acquire, lists, signer, issuer=settings.root_url)
    )
    AuthzenFace(
        gate,
        store,
        protector.acquire,
        root_url=settings.root_url,
        users_named=lambda unit, name: consumers_named(unit, "userName", name, user_name_key),
        page_secret=peppers.derive("authzen pages"),
    ).init_app(flask)
    return flask
