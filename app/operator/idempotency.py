"""The header ``Idempotency-Key``: a request that is said twice is done once."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from flask import request

from app.access.credentials import Credential
from app.keys.idempotency import Answered, Asked, recall, remember
from app.ledger.events import Event, record
from app.operator.errors import RequestInvalid
from app.store.peppers import Peppers
from app.store.unit_of_work import Unit

HEADER: Final = "Idempotency-Key"

# A string of RFC 8941 §3.3.3, as the draft has it; or without the quotes, as most clients send it.
_QUOTED: Final = re.compile(r'"((?:[ !#-\[\]-~]|\\["\\])*)"')
_BARE: Final = re.compile(r"[!#-+\--:<-\[\]-~]+")
_LONGEST: Final = 255


def read_idempotency_key(caller: Credential, body: Mapping[str, Any]) -> Asked | None:
    """Return the current request as one that is to be done once; None when it does not ask for that.

    :param caller: the same key of another credential is another key.
    :raises RequestInvalid: when the header is none, or there are several.
    """
    values = request.headers.getlist(HEADER)
    if not values:
        return None
    text = values[0].strip()
    quoted, bare = _QUOTED.fullmatch(text), _BARE.fullmatch(text)
    key = re.sub(r"\\(.)", r"\1", quoted[1]) if quoted else text if bare else ""
    if len(values) > 1 or not 0 < len(key) <= _LONGEST:
        raise RequestInvalid(f"{HEADER} must be one string of 1 to {_LONGEST} characters, such as a UUID")
    said = json.dumps([request.method, request.path, body], sort_keys=True)
    return Asked(caller.id, key, hashlib.sha256(said.encode()).digest())


def once(unit: Unit, peppers: Peppers, asked: Asked | None, act: Callable[[], Answered]) -> Answered:
    """Carry a request out, or say again what it was answered when it was carried out before.

    The writes of a tenant follow one another, so of two at the same time the second waits and is told what
    the first was answered. A secret that is told again is an event.

    :raises RequestDiffers: when the key was used for another request.
    :raises SecretNoLongerReadable: when the answer had a secret that nobody can read any more.
    """
    if asked is None:
        return act()
    before = recall(unit, peppers, asked)
    if before is None:
        answered = act()
        remember(unit, peppers, asked, answered)
        return answered
    if before.secret is not None:
        record(unit, [Event("key.secret_repeated", f"key/{before.document['id']}", {})])
    return before
