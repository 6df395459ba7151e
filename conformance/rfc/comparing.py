"""Texts that are the same in other characters (RFC 7644 §7.8), and identifiers of clients."""

from __future__ import annotations

import unicodedata
from typing import Final

from conformance.rfc.expectations import expect, expect_refused, expect_status
from conformance.rfc.stage import Made, NotApplicable, Stage, summary
from conformance.rfc.trials import MUST, SHOULD, requirement

_SECTION: Final = "RFC 7644 §7.8"


def _accented(stage: Stage) -> tuple[Made, str]:
    """Make a user whose userName holds an accented letter; return the name with letter and accent apart too.

    :raises NotApplicable: when the server takes no such userName.
    """
    body = stage.user_body(userName=stage.name("zoë"))
    answer = stage.target.post(stage.users, body)
    if answer.status != 201:
        raise NotApplicable(f"a userName beyond ASCII is answered {summary(answer)}")
    made = Made(f"{stage.users}/{answer.document.get('id')}", str(answer.document.get("id")), body, answer)
    return made, unicodedata.normalize("NFD", body["userName"])


@requirement(
    "rfc7644-7.8-uniqueness",
    _SECTION,
    MUST,
    "userNames that differ only in how a character is composed are one, and cannot be given twice.",
)
def uniqueness(stage: Stage) -> None:
    _, apart = _accented(stage)
    expect_refused(stage.target.post(stage.users, stage.user_body(userName=apart)))


@requirement(
    "rfc7644-7.8-filter",
    _SECTION,
    MUST,
    "A filter finds a userName however its characters are composed.",
)
def by_filter(stage: Stage) -> None:
    stage.needs("filter")
    made, apart = _accented(stage)
    answer = stage.target.get(stage.users, filter=f'userName eq "{apart}"')
    expect_status(answer, 200)
    expect([each.get("id") for each in answer.resources] == [made.id], "the user is not found")


@requirement(
    "rfc7643-3.1-external-id-not-unique",
    "RFC 7643 §3.1",
    SHOULD,
    "Two users may have the same externalId: its uniqueness is the client's concern.",
)
def external_id(stage: Stage) -> None:
    shared = stage.name("external")
    stage.new_user(externalId=shared)
    expect_status(stage.target.post(stage.users, stage.user_body(externalId=shared)), 201)
