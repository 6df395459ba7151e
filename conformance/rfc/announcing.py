"""ServiceProviderConfig: what the server says it can do (RFC 7643 §5, RFC 7644 §4)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from conformance.rfc.expectations import expect, expect_status, member
from conformance.rfc.stage import LIST_RESPONSE, NotApplicable, Stage, summary
from conformance.rfc.trials import MUST, SHOULD, requirement

_URN: Final = "urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig"
_SECTION: Final = "RFC 7643 §5"


def _configuration(stage: Stage) -> dict[str, Any]:
    answer = stage.target.get("ServiceProviderConfig")
    expect(answer.status == 200, f"GET /ServiceProviderConfig is answered {summary(answer)}")
    return answer.document


@requirement(
    "rfc7644-4-config-served", "RFC 7644 §4", MUST, "/ServiceProviderConfig answers with a JSON object."
)
def config_served(stage: Stage) -> None:
    expect(_configuration(stage), "the body is no JSON object")


@requirement(
    "rfc7644-4-config-schemas", "RFC 7644 §4", MUST, "ServiceProviderConfig names its own schema in schemas."
)
def config_schemas(stage: Stage) -> None:
    schemas = _configuration(stage).get("schemas")
    expect(isinstance(schemas, list) and _URN in schemas, f"schemas is {schemas!r}")


@requirement(
    "rfc7644-4-config-no-list",
    "RFC 7644 §4",
    MUST,
    "ServiceProviderConfig is a single object and not a list.",
)
def config_no_list(stage: Stage) -> None:
    document = _configuration(stage)
    listed = LIST_RESPONSE in (document.get("schemas") or ()) or "Resources" in document
    expect(not listed, "the configuration comes as a list")


def _boolean_member(feature: str) -> Callable[[Stage], None]:
    def carry_out(stage: Stage) -> None:
        document = _configuration(stage)
        seen = member(document, f"{feature}.supported")
        expect(isinstance(seen, bool), f"{feature} is {document.get(feature)!r}")

    return carry_out


for _feature in ("patch", "bulk", "filter", "changePassword", "sort", "etag"):
    requirement(
        f"rfc7643-5-{_feature}", _SECTION, MUST, f"ServiceProviderConfig has {_feature}.supported, a boolean."
    )(_boolean_member(_feature))


def _integer_member(path: str) -> Callable[[Stage], None]:
    def carry_out(stage: Stage) -> None:
        seen = member(_configuration(stage), path)
        expect(
            isinstance(seen, int) and not isinstance(seen, bool) and seen >= 0,
            f"{path} is {seen!r}",
        )

    return carry_out


for _path in ("bulk.maxOperations", "bulk.maxPayloadSize", "filter.maxResults"):
    requirement(
        f"rfc7643-5-{_path}",
        _SECTION,
        MUST,
        f"ServiceProviderConfig has {_path}, an integer that is not negative.",
    )(_integer_member(_path))


@requirement(
    "rfc7643-5-schemes", _SECTION, MUST, "ServiceProviderConfig has authenticationSchemes, a list of objects."
)
def schemes(stage: Stage) -> None:
    seen = _configuration(stage).get("authenticationSchemes")
    expect(isinstance(seen, list), f"authenticationSchemes is {seen!r}")
    expect(all(isinstance(each, dict) for each in seen or ()), "an authentication scheme is no object")


@requirement(
    "rfc7643-5-scheme-members",
    _SECTION,
    MUST,
    "Each authentication scheme has type, name and description.",
)
def scheme_members(stage: Stage) -> None:
    for scheme in _schemes(stage):
        missing = [name for name in ("type", "name", "description") if not isinstance(scheme.get(name), str)]
        expect(not missing, f"a scheme has no {', '.join(missing)}: {scheme!r}")


@requirement(
    "rfc7643-5-scheme-type",
    _SECTION,
    SHOULD,
    "The type of an authentication scheme is one of those that are defined.",
)
def scheme_type(stage: Stage) -> None:
    defined = {"oauth", "oauth2", "oauthbearertoken", "httpbasic", "httpdigest"}
    unknown = [scheme.get("type") for scheme in _schemes(stage) if scheme.get("type") not in defined]
    expect(not unknown, f"not defined: {unknown}")


def _schemes(stage: Stage) -> list[dict[str, Any]]:
    listed = _configuration(stage).get("authenticationSchemes")
    found = [each for each in listed if isinstance(each, dict)] if isinstance(listed, list) else []
    if not found:
        raise NotApplicable("no authentication scheme is listed")
    return found


@requirement(
    "rfc7643-5-schemes-public",
    _SECTION,
    SHOULD,
    "authenticationSchemes can be read without authentication.",
)
def schemes_public(stage: Stage) -> None:
    answer = stage.target.send("GET", "ServiceProviderConfig", with_credential=False)
    expect_status(answer, 200)
    expect("authenticationSchemes" in answer.document, "authenticationSchemes is not shown to a stranger")


@requirement(
    "rfc7643-5-config-read-only", _SECTION, MUST, "ServiceProviderConfig cannot be changed by a client."
)
def config_read_only(stage: Stage) -> None:
    before = _configuration(stage)
    body = {**before, "documentationUri": f"https://example.com/{stage.name()}"}
    answer = stage.target.put("ServiceProviderConfig", body)
    expect(answer.status >= 400 or _configuration(stage) == before, "PUT changed ServiceProviderConfig")


@requirement(
    "rfc7643-3.1-config-location",
    "RFC 7643 §3.1",
    MUST,
    "meta.location of ServiceProviderConfig, where it is given, is its URL.",
)
def config_location(stage: Stage) -> None:
    location = member(_configuration(stage), "meta.location")
    if location is None:
        raise NotApplicable("ServiceProviderConfig has no meta.location")
    expect(str(location).endswith("/ServiceProviderConfig"), f"meta.location is {location!r}")


@requirement(
    "rfc7644-4-config-filter",
    "RFC 7644 §4",
    SHOULD,
    "A filter on /ServiceProviderConfig is answered 403.",
)
def config_filter(stage: Stage) -> None:
    expect_status(stage.target.get("ServiceProviderConfig", filter="patch pr"), 403)


@requirement(
    "rfc7644-4-config-parameters",
    "RFC 7644 §4",
    MUST,
    "Sorting and paging parameters on discovery endpoints are ignored.",
)
def config_parameters(stage: Stage) -> None:
    for path in ("ResourceTypes", "Schemas"):
        whole = stage.target.get(path)
        paged = stage.target.get(path, startIndex=2, count=1, sortBy="id", sortOrder="descending")
        expect_status(paged, 200)
        expect(
            len(paged.resources) == len(whole.resources),
            f"/{path} with startIndex=2&count=1 has {len(paged.resources)} of {len(whole.resources)}",
        )
