"""Asynchronous requests and events (RFC 9967), where the server announces them."""

from __future__ import annotations

from time import monotonic, sleep
from typing import Any, Final
from urllib.parse import urlsplit

from conformance.exchange import Answer
from conformance.rfc.expectations import expect, expect_status
from conformance.rfc.stage import NotApplicable, Stage
from conformance.rfc.trials import MUST, SHOULD, requirement

_ANNOUNCED: Final = "RFC 9967, ServiceProviderConfig"
_ASYNCHRONOUS: Final = "RFC 9967, asynchronous requests"
_PATIENCE_SECONDS: Final = 20.0


def _announced(stage: Stage) -> dict[str, Any]:
    found = stage.provider.configuration.get("securityEvents")
    if not isinstance(found, dict):
        raise NotApplicable("ServiceProviderConfig does not announce securityEvents")
    return found


def _asynchronous(stage: Stage) -> Answer:
    """Make a user, asking for an answer that does not wait for it."""
    if _announced(stage).get("asyncRequest") in (None, "none"):
        raise NotApplicable("securityEvents does not announce asynchronous requests")
    body = stage.user_body()
    answer = stage.target.send("POST", stage.users, body, headers={"Prefer": "respond-async"})
    if answer.status != 201:
        _wait_for(stage, body["userName"])
    return answer


def _wait_for(stage: Stage, user_name: str) -> None:
    """Wait until a user is there, so that it can be deleted afterwards."""
    deadline = monotonic() + _PATIENCE_SECONDS
    while stage.provider.supports("filter") and monotonic() < deadline:
        found = stage.target.get(stage.users, filter=f'userName eq "{user_name}"').resources
        if found:
            stage.target.created[f"{stage.users}/{found[0].get('id')}"] = None
            return
        sleep(0.1)


def _accepted(stage: Stage) -> Answer:
    answer = _asynchronous(stage)
    if answer.status == 201:
        raise NotApplicable("the server answered at once, which it may")
    return answer


@requirement("rfc9967-announced-async", _ANNOUNCED, MUST, "asyncRequest is one of none, long and request.")
def announced_async(stage: Stage) -> None:
    seen = _announced(stage).get("asyncRequest")
    expect(seen in (None, "none", "long", "request"), f"asyncRequest is {seen!r}")


@requirement("rfc9967-announced-events", _ANNOUNCED, MUST, "eventUris is a list of the URIs of SCIM events.")
def announced_events(stage: Stage) -> None:
    seen = _announced(stage).get("eventUris")
    expect(isinstance(seen, list), f"eventUris is {seen!r}")
    wrong = [each for each in seen or () if not str(each).startswith("urn:ietf:params:scim:event:")]
    expect(not wrong, f"of no SCIM event: {wrong}")


@requirement(
    "rfc9967-async-answer", _ASYNCHRONOUS, MUST, "Prefer: respond-async is answered 202, or as usual."
)
def answer(stage: Stage) -> None:
    expect_status(_asynchronous(stage), 202, 201)


@requirement("rfc9967-async-body", _ASYNCHRONOUS, MUST, "An answer 202 has no body.")
def no_body(stage: Stage) -> None:
    seen = _accepted(stage)
    expect(not seen.text, f"there is a body: {seen.text[:100]!r}")


@requirement(
    "rfc9967-async-txn",
    _ASYNCHRONOUS,
    MUST,
    "An answer 202 names the transaction in Set-Txn, each time another one.",
)
def transaction(stage: Stage) -> None:
    seen = [_accepted(stage).headers.get("set-txn") for _ in range(2)]
    expect(all(seen) and seen[0] != seen[1], f"Set-Txn: {seen}")


@requirement(
    "rfc9967-async-applied", "RFC 7240 §3", SHOULD, "An answer 202 says Preference-Applied: respond-async."
)
def applied(stage: Stage) -> None:
    seen = str(_accepted(stage).headers.get("preference-applied", ""))
    expect("respond-async" in seen, f"Preference-Applied is {seen!r}")


@requirement("rfc9967-async-result", _ASYNCHRONOUS, SHOULD, "Location of an answer 202 leads to its result.")
def result(stage: Stage) -> None:
    seen = _accepted(stage)
    location = str(seen.headers.get("location", ""))
    expect(location, "there is no Location")
    path, base = urlsplit(location).path, str(stage.target.client.base_url.path)
    if not path.startswith(base):
        raise NotApplicable(f"{path} is not below {base}")
    expect_status(stage.target.get(path[len(base) :]), 200, 202)


@requirement("rfc9967-async-result-guarded", _ASYNCHRONOUS, MUST, "The result is not shown to a stranger.")
def result_guarded(stage: Stage) -> None:
    path, base = (
        urlsplit(str(_accepted(stage).headers.get("location", ""))).path,
        stage.target.client.base_url.path,
    )
    if not path.startswith(base):
        raise NotApplicable(f"{path!r} is not below {base}")
    seen = stage.target.send("GET", path[len(base) :], with_credential=False)
    expect(seen.status in (401, 403), f"it is answered {seen.status}")
