"""/Me, the alias of who is asking (RFC 7644 §3.11)."""

from __future__ import annotations

from typing import Final

from conformance.rfc.expectations import expect, member
from conformance.rfc.stage import ERROR, NotApplicable, Stage
from conformance.rfc.trials import MUST, SHOULD, requirement

_SECTION: Final = "RFC 7644 §3.11"


@requirement(
    "rfc7644-3.11-answer", _SECTION, SHOULD, "/Me is answered 501, or leads to the resource of who is asking."
)
def answer(stage: Stage) -> None:
    seen = stage.target.get("Me")
    expect(seen.status in (200, 308, 501), f"it is answered {seen.status}")


@requirement(
    "rfc7644-3.11-location", _SECTION, MUST, "/Me that is served names the permanent location in Location."
)
def location(stage: Stage) -> None:
    seen = stage.target.get("Me")
    if seen.status not in (200, 308):
        raise NotApplicable(f"/Me is answered {seen.status}")
    found = str(seen.headers.get("location", ""))
    expect(found and not found.rstrip("/").endswith("/Me"), f"Location is {found!r}")
    if seen.status == 200:
        expect(found == member(seen.document, "meta.location"), f"Location is {found!r}")


@requirement(
    "rfc7644-3.11-error", "RFC 7644 §3.12", MUST, "/Me that is not served is answered with a SCIM error."
)
def error(stage: Stage) -> None:
    seen = stage.target.get("Me")
    if seen.status < 400:
        raise NotApplicable("/Me is served")
    expect(ERROR in (seen.document.get("schemas") or ()), f"the body is {seen.text[:200]!r}")
