"""Bulk requests (RFC 7644 §3.7, §3.7.3, §3.7.4)."""

from __future__ import annotations

from typing import Any, Final

from conformance.exchange import Answer
from conformance.rfc.expectations import expect, expect_refused, expect_same, expect_status, member
from conformance.rfc.stage import (
    BULK_REQUEST,
    BULK_RESPONSE,
    ERROR,
    PATCH_OPERATION,
    Deviates,
    NotApplicable,
    Stage,
)
from conformance.rfc.trials import MUST, SHOULD, requirement

_SECTION: Final = "RFC 7644 §3.7"
_RESULTS: Final = "RFC 7644 §3.7.3"
_LIMITS: Final = "RFC 7644 §3.7.4"
_LARGEST_SENT: Final = 20_000_000


def send(stage: Stage, *operations: dict[str, Any], **members: Any) -> Answer:
    """Send a bulk request."""
    stage.needs("bulk")
    return stage.target.post("Bulk", {"schemas": [BULK_REQUEST], **members, "Operations": list(operations)})


def results(stage: Stage, *operations: dict[str, Any], **members: Any) -> list[dict[str, Any]]:
    """Send a bulk request and return the result of each operation.

    :raises Deviates: when the request as a whole is not answered 200 with a list of results.
    """
    answer = send(stage, *operations, **members)
    expect_status(answer, 200)
    listed = answer.document.get("Operations")
    if not isinstance(listed, list):
        raise Deviates(f"Operations is {listed!r}")
    return [each for each in listed if isinstance(each, dict)]


def creation(stage: Stage, **attributes: Any) -> dict[str, Any]:
    """Return an operation that makes a user."""
    return {
        "method": "POST",
        "path": f"/{stage.users}",
        "bulkId": stage.name("b"),
        "data": stage.user_body(**attributes),
    }


def _failing(stage: Stage) -> dict[str, Any]:
    return {"method": "DELETE", "path": f"/{stage.users}/{stage.name('missing')}"}


def _statuses(found: list[dict[str, Any]]) -> list[str]:
    return [str(each.get("status")) for each in found]


@requirement("rfc7644-3.7-response", _SECTION, MUST, "A bulk request is answered 200 with a BulkResponse.")
def response(stage: Stage) -> None:
    answer = send(stage, creation(stage))
    expect_status(answer, 200)
    expect(
        BULK_RESPONSE in (answer.document.get("schemas") or ()), f"schemas: {answer.document.get('schemas')}"
    )


@requirement(
    "rfc7644-3.7-methods", _SECTION, MUST, "POST, PUT, PATCH and DELETE can be sent in one bulk request."
)
def methods(stage: Stage) -> None:
    name, text, body = stage.text(), stage.name(), stage.user_body()
    replaced, patched, deleted = stage.make(stage.users, body), stage.new_user(), stage.new_user()
    operations = [
        creation(stage),
        {"method": "PUT", "path": f"/{replaced.path}", "data": {**body, name: text}},
        {"method": "DELETE", "path": f"/{deleted.path}"},
    ]
    if stage.provider.supports("patch"):
        data = {"schemas": [PATCH_OPERATION], "Operations": [{"op": "add", "path": name, "value": text}]}
        operations.insert(2, {"method": "PATCH", "path": f"/{patched.path}", "data": data})
    found = _statuses(results(stage, *operations))
    expect(
        len(found) == len(operations) and all(each.startswith("20") for each in found), f"statuses: {found}"
    )
    expect_same(member(stage.read(replaced), name), text, f"{name} after PUT")
    if stage.provider.supports("patch"):
        expect_same(member(stage.read(patched), name), text, f"{name} after PATCH")
    expect(stage.target.get(deleted.path).status == 404, "the user is there after DELETE")


@requirement(
    "rfc7644-3.7-bulk-id", _SECTION, MUST, "The result of a creation has the bulkId that the client gave it."
)
def bulk_id(stage: Stage) -> None:
    operations = [creation(stage), creation(stage)]
    found = [each.get("bulkId") for each in results(stage, *operations)]
    expect(found == [each["bulkId"] for each in operations], f"bulkIds: {found}")


@requirement(
    "rfc7644-3.7.3-status", _RESULTS, MUST, "status of a result is the HTTP status as a JSON string."
)
def status(stage: Stage) -> None:
    found = [each.get("status") for each in results(stage, creation(stage), _failing(stage))]
    expect(found == ["201", "404"], f"statuses: {found!r}")


@requirement("rfc7644-3.7.3-method", _SECTION, MUST, "A result names the method of its operation.")
def method(stage: Stage) -> None:
    found = [str(each.get("method")).upper() for each in results(stage, creation(stage), _failing(stage))]
    expect(found == ["POST", "DELETE"], f"methods: {found}")


@requirement("rfc7644-3.7.3-location", _RESULTS, MUST, "A result has the location of its resource.")
def location(stage: Stage) -> None:
    made, gone = stage.new_user(), stage.new_user()
    found = results(
        stage,
        creation(stage),
        {"method": "PUT", "path": f"/{made.path}", "data": stage.user_body()},
        {"method": "DELETE", "path": f"/{gone.path}"},
    )
    seen = [str(each.get("location")) for each in found]
    expect(all(f"/{stage.users}/" in each for each in seen), f"locations: {seen}")
    expect(seen[1].endswith(made.path) and seen[2].endswith(gone.path), f"locations: {seen}")


@requirement(
    "rfc7644-3.7.3-location-failed", _RESULTS, MUST, "A failed operation that is no POST has a location too."
)
def location_failed(stage: Stage) -> None:
    missing = f"{stage.users}/{stage.name('missing')}"
    found = results(stage, {"method": "PUT", "path": f"/{missing}", "data": stage.user_body()})
    seen = [str(each.get("location")) for each in found]
    expect(len(seen) == 1 and seen[0].endswith(missing), f"locations: {seen}")


@requirement("rfc7644-3.7.3-location-post-failed", _RESULTS, MUST, "A failed POST has no location.")
def location_post_failed(stage: Stage) -> None:
    found = results(stage, {**creation(stage), "data": stage.user_body(userName=None)})
    expect(found and not _statuses(found)[0].startswith("20"), f"statuses: {_statuses(found)}")
    expect("location" not in found[0], f"location is {found[0].get('location')!r}")


@requirement(
    "rfc7644-3.7.3-response", _SECTION, MUST, "The result of a failed operation has the error in response."
)
def failed_response(stage: Stage) -> None:
    found = results(stage, _failing(stage))[0]
    expect(ERROR in (member(found, "response.schemas") or ()), f"response is {found.get('response')!r}")
    expect(member(found, "response.status") == "404", f"response is {found.get('response')!r}")


@requirement(
    "rfc7644-3.7.3-version",
    "RFC 7644 §3.7",
    SHOULD,
    "The result of a creation has the version of the resource.",
)
def result_version(stage: Stage) -> None:
    stage.needs("etag")
    found = results(stage, creation(stage))[0]
    expect(found.get("version"), "there is no version")


@requirement(
    "rfc7644-3.7.3-all", _RESULTS, MUST, "The results are those of all operations that were carried out."
)
def all_results(stage: Stage) -> None:
    found = _statuses(results(stage, creation(stage), _failing(stage), creation(stage)))
    expect(found == ["201", "404", "201"], f"statuses: {found}")


@requirement(
    "rfc7644-3.7-continues", _SECTION, MUST, "Without failOnErrors a failure does not stop the others."
)
def continues(stage: Stage) -> None:
    made = stage.new_user()
    results(stage, _failing(stage), _failing(stage), {"method": "DELETE", "path": f"/{made.path}"})
    expect(stage.target.get(made.path).status == 404, "the last operation was not carried out")


@requirement(
    "rfc7644-3.7-fail-on-errors",
    _SECTION,
    MUST,
    "After as many failures as failOnErrors says nothing more is done.",
)
def fail_on_errors(stage: Stage) -> None:
    made = stage.new_user()
    deletion = {"method": "DELETE", "path": f"/{made.path}"}
    found = _statuses(results(stage, creation(stage), _failing(stage), deletion, failOnErrors=1))
    expect(found[:2] == ["201", "404"], f"statuses: {found}")
    expect(stage.target.get(made.path).status == 200, "an operation was carried out after the failure")


@requirement("rfc7644-3.7-fail-on-two", _SECTION, MUST, "Fewer failures than failOnErrors says stop nothing.")
def fail_on_two(stage: Stage) -> None:
    found = _statuses(results(stage, _failing(stage), creation(stage), failOnErrors=2))
    expect(found == ["404", "201"], f"statuses: {found}")


@requirement("rfc7644-3.7-post-without-bulk-id", _SECTION, SHOULD, "A POST without a bulkId is refused.")
def post_without_bulk_id(stage: Stage) -> None:
    operation = creation(stage)
    del operation["bulkId"]
    answer = send(stage, operation)
    found = answer.document.get("Operations") or [{}]
    expect(answer.status == 400 or str(found[0].get("status")) == "400", "the user was made")


@requirement(
    "rfc7644-3.7-wrong-operation",
    _SECTION,
    MUST,
    "An operation of an unknown method, or without a path, fails.",
)
def wrong_operation(stage: Stage) -> None:
    made = stage.new_user()
    for operation in (
        {"method": "GET", "path": f"/{made.path}"},
        {"method": "MOVE", "path": f"/{made.path}"},
        {"method": "DELETE"},
    ):
        answer = send(stage, operation)
        found = answer.document.get("Operations") or [{}]
        refused = 400 <= answer.status < 500 or str(found[0].get("status")).startswith("4")
        expect(refused, f"{operation['method']} is answered {answer.status} {found[0].get('status')}")


@requirement(
    "rfc7644-3.7-precondition",
    _SECTION,
    MUST,
    "version of an operation is compared with the resource's: 412.",
)
def precondition(stage: Stage) -> None:
    stage.needs("etag")
    made = stage.new_user()
    operation = {"method": "DELETE", "path": f"/{made.path}", "version": 'W/"of-another-time"'}
    found = _statuses(results(stage, operation))
    expect(found in (["412"], ["409"]), f"statuses: {found}")
    expect(stage.target.get(made.path).status == 200, "the user is gone")


@requirement(
    "rfc7644-3.7-precondition-held",
    _SECTION,
    MUST,
    "An operation with the resource's version is carried out.",
)
def precondition_held(stage: Stage) -> None:
    stage.needs("etag")
    made = stage.new_user()
    version = member(stage.read(made), "meta.version")
    if not version:
        raise NotApplicable("there is no meta.version")
    found = _statuses(results(stage, {"method": "DELETE", "path": f"/{made.path}", "version": version}))
    expect(found == ["204"], f"statuses: {found}")


@requirement(
    "rfc7644-3.7-schemas", _SECTION, SHOULD, "A bulk request without the BulkRequest schema is refused."
)
def schemas(stage: Stage) -> None:
    stage.needs("bulk")
    answer = stage.target.post("Bulk", {"schemas": [BULK_RESPONSE], "Operations": [creation(stage)]})
    expect_refused(answer)


@requirement(
    "rfc7644-3.7.4-operations",
    _LIMITS,
    MUST,
    "More operations than maxOperations are answered 413, and none is done.",
)
def too_many(stage: Stage) -> None:
    answer, most = _too_many(stage)
    expect_status(answer, 413)
    if most:
        expect(ERROR in (answer.document.get("schemas") or ()), f"the body is {answer.text[:200]!r}")


@requirement(
    "rfc7644-3.7.4-operations-said", _LIMITS, MUST, "The answer to too many operations names the limit."
)
def too_many_said(stage: Stage) -> None:
    answer, most = _too_many(stage)
    expect_status(answer, 413)
    expect(str(most) in answer.text or "maxOperations" in answer.text, f"the body is {answer.text[:200]!r}")


def _too_many(stage: Stage) -> tuple[Answer, int]:
    stage.needs("bulk")
    most = stage.provider.limit("bulk", "maxOperations")
    if not most or most > 20_000:
        raise NotApplicable(f"maxOperations is {most!r}: not tried")
    return send(stage, *([_failing(stage)] * (most + 1))), most


@requirement(
    "rfc7644-3.7.4-payload", _LIMITS, MUST, "A body of more than maxPayloadSize bytes is answered 413."
)
def too_large(stage: Stage) -> None:
    answer, _ = _too_large(stage)
    expect_status(answer, 413)


@requirement(
    "rfc7644-3.7.4-payload-said", _LIMITS, MUST, "The answer to a body that is too large names the limit."
)
def too_large_said(stage: Stage) -> None:
    answer, most = _too_large(stage)
    expect_status(answer, 413)
    expect(str(most) in answer.text or "maxPayloadSize" in answer.text, f"the body is {answer.text[:200]!r}")


def _too_large(stage: Stage) -> tuple[Answer, int]:
    stage.needs("bulk")
    most = stage.provider.limit("bulk", "maxPayloadSize")
    if not most or most > _LARGEST_SENT:
        raise NotApplicable(f"maxPayloadSize is {most!r}: not tried")
    return send(stage, {**_failing(stage), "data": "a" * most}), most


@requirement(
    "rfc7644-3.7.4-announced", "RFC 7643 §5", MUST, "A server with bulk requests says how large they may be."
)
def announced(stage: Stage) -> None:
    stage.needs("bulk")
    for name in ("maxOperations", "maxPayloadSize"):
        seen = stage.provider.limit("bulk", name)
        expect(seen, f"{name} is {seen!r}")


@requirement(
    "rfc7644-3.7-not-supported",
    "RFC 7644 §3.12",
    SHOULD,
    "A server without bulk requests answers them 501 or 404.",
)
def not_supported(stage: Stage) -> None:
    if stage.provider.supports("bulk"):
        raise NotApplicable("bulk requests are supported")
    expect_status(stage.target.post("Bulk", {"schemas": [BULK_REQUEST], "Operations": []}), 501, 404)
