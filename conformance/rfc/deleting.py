"""Deletion (RFC 7644 §3.6)."""

from __future__ import annotations

from typing import Final

from conformance.rfc.expectations import expect, expect_error, expect_status
from conformance.rfc.provider import GROUP
from conformance.rfc.stage import PATCH_OPERATION, Made, Stage
from conformance.rfc.trials import MUST, SHOULD, requirement

_SECTION: Final = "RFC 7644 §3.6"


def _deleted(stage: Stage) -> Made:
    made = stage.new_user()
    expect_status(stage.target.delete(made.path), 204)
    return made


@requirement("rfc7644-3.6-answer", _SECTION, MUST, "A deletion is answered 204 without a body.")
def answer(stage: Stage) -> None:
    for made in (stage.new_user(), *([stage.new_group()] if stage.provider.resource_type(GROUP) else [])):
        seen = stage.target.delete(made.path)
        expect_status(seen, 204)
        expect(not seen.text, f"there is a body: {seen.text[:100]!r}")


@requirement("rfc7644-3.6-unknown", _SECTION, MUST, "A deletion of what is not there is answered 404.")
def unknown(stage: Stage) -> None:
    expect_error(stage.target.delete(f"{stage.users}/{stage.name('missing')}"), 404)


@requirement("rfc7644-3.6-read", _SECTION, MUST, "What was deleted is answered 404 to GET.")
def read(stage: Stage) -> None:
    expect_error(stage.target.get(_deleted(stage).path), 404)


@requirement("rfc7644-3.6-again", _SECTION, MUST, "What was deleted is answered 404 to DELETE.")
def again(stage: Stage) -> None:
    expect_error(stage.target.delete(_deleted(stage).path), 404)


@requirement("rfc7644-3.6-put", _SECTION, MUST, "What was deleted is answered 404 to PUT.")
def put(stage: Stage) -> None:
    expect_error(stage.target.put(_deleted(stage).path, stage.user_body()), 404)


@requirement("rfc7644-3.6-patch", _SECTION, MUST, "What was deleted is answered 404 to PATCH.")
def patch(stage: Stage) -> None:
    stage.needs("patch")
    body = {"schemas": [PATCH_OPERATION], "Operations": [{"op": "add", "path": stage.text(), "value": "a"}]}
    expect_error(stage.target.send("PATCH", _deleted(stage).path, body), 404)


@requirement("rfc7644-3.6-queries", _SECTION, MUST, "What was deleted is in no query.")
def queries(stage: Stage) -> None:
    made = _deleted(stage)
    expect(
        made.id not in {each.get("id") for each in stage.target.get(stage.users).resources},
        "it is in the list",
    )
    if stage.provider.supports("filter"):
        found = stage.target.get(stage.users, filter=f'userName eq "{made.document.get("userName")}"')
        expect(not found.resources, "a filter finds it")
        expect(
            found.document.get("totalResults") == 0, f"totalResults is {found.document.get('totalResults')!r}"
        )


@requirement("rfc7644-3.6-name-free", _SECTION, SHOULD, "The userName of a deleted user can be given again.")
def name_free(stage: Stage) -> None:
    body = stage.user_body()
    made = stage.make(stage.users, body)
    expect_status(stage.target.delete(made.path), 204)
    expect_status(stage.target.post(stage.users, body), 201)


@requirement(
    "rfc7643-3.1-id-not-again",
    "RFC 7643 §3.1",
    MUST,
    "The id of a deleted user is not given again, not for the same userName.",
)
def id_not_again(stage: Stage) -> None:
    body = stage.user_body()
    made = stage.make(stage.users, body)
    expect_status(stage.target.delete(made.path), 204)
    again = stage.make(stage.users, body)
    expect(again.id != made.id, f"the id {made.id} came back")
    expect(stage.target.get(made.path).status == 404, "the old id leads to the new user")
