"""Media types, authentication and the form of errors (RFC 7644 §2, §3.8, §3.12)."""

from __future__ import annotations

import json
from typing import Final

from conformance.exchange import Answer
from conformance.rfc.expectations import expect, expect_error, expect_refused, expect_status, media_type
from conformance.rfc.stage import ERROR, NotApplicable, Stage
from conformance.rfc.trials import MUST, SHOULD, requirement

_FORMS: Final = "RFC 7644 §3.8"
_ERRORS: Final = "RFC 7644 §3.12"
_ACCESS: Final = "RFC 7644 §2"


def _missing(stage: Stage) -> Answer:
    return stage.target.get(f"{stage.users}/{stage.name('missing')}")


@requirement("rfc7644-3.8-accept-scim", _FORMS, MUST, "Accept: application/scim+json is served.")
def accept_scim(stage: Stage) -> None:
    answer = stage.target.send("GET", stage.users, headers={"Accept": "application/scim+json"})
    expect_status(answer, 200)
    expect(media_type(answer) == "application/scim+json", f"Content-Type is {media_type(answer)!r}")


@requirement("rfc7644-3.8-accept-json", _FORMS, SHOULD, "Accept: application/json is served.")
def accept_json(stage: Stage) -> None:
    answer = stage.target.send("GET", stage.users, headers={"Accept": "application/json"})
    expect_status(answer, 200)
    expect(
        media_type(answer) in ("application/json", "application/scim+json"),
        f"Content-Type is {media_type(answer)!r}",
    )


@requirement(
    "rfc7644-3.8-default",
    _FORMS,
    MUST,
    "Without a preference of the client, answers are application/scim+json.",
)
def default_format(stage: Stage) -> None:
    answer = stage.target.send("GET", stage.users, headers={"Accept": "*/*"})
    expect_status(answer, 200)
    expect(media_type(answer) == "application/scim+json", f"Content-Type is {media_type(answer)!r}")


@requirement("rfc7644-3.8-utf-8", _FORMS, MUST, "Text beyond ASCII is taken and given in UTF-8.")
def utf_8(stage: Stage) -> None:
    name, value = stage.text(), f"Zoë Çelik 山田 {stage.name()}"
    body = json.dumps(stage.user_body(**{name: value}), ensure_ascii=False).encode("utf-8")
    answer = stage.target.send("POST", stage.users, content=body)
    expect_status(answer, 201)
    expect(answer.document.get(name) == value, f"{name} came back as {answer.document.get(name)!r}")
    charset = str(answer.headers.get("content-type", "")).lower().partition("charset=")[2].strip('" ')
    expect(charset in ("", "utf-8"), f"the charset is {charset!r}")


@requirement("rfc7644-3.8-charset-parameter", _FORMS, MUST, "A media type with charset=utf-8 is accepted.")
def charset_parameter(stage: Stage) -> None:
    content = json.dumps(stage.user_body()).encode()
    headers = {"Content-Type": "application/scim+json; charset=utf-8"}
    expect_status(stage.target.send("POST", stage.users, content=content, headers=headers), 201)


@requirement("rfc7644-3.8-content-json", _FORMS, SHOULD, "A body of the type application/json is accepted.")
def content_json(stage: Stage) -> None:
    content = json.dumps(stage.user_body()).encode()
    headers = {"Content-Type": "application/json"}
    expect_status(stage.target.send("POST", stage.users, content=content, headers=headers), 201)


@requirement(
    "rfc7644-2-no-credential", _ACCESS, MUST, "Without a credential resources are neither shown nor changed."
)
def no_credential(stage: Stage) -> None:
    read = stage.target.send("GET", stage.users, with_credential=False)
    written = stage.target.send("POST", stage.users, stage.user_body(), with_credential=False)
    expect(read.status in (401, 403), f"GET is answered {read.status}")
    expect(written.status in (401, 403), f"POST is answered {written.status}")


@requirement("rfc7644-2-wrong-credential", _ACCESS, MUST, "A wrong credential is refused.")
def wrong_credential(stage: Stage) -> None:
    headers = {"Authorization": f"Bearer {stage.name('wrong')}"}
    answer = stage.target.send("GET", stage.users, headers=headers)
    expect(answer.status in (401, 403), f"GET is answered {answer.status}")


@requirement(
    "rfc7644-2-challenge",
    _ACCESS,
    MUST,
    "A 401 says in WWW-Authenticate which authentication schemes are supported.",
)
def challenge(stage: Stage) -> None:
    answer = stage.target.send("GET", stage.users, with_credential=False)
    if answer.status != 401:
        raise NotApplicable(f"without a credential the answer is {answer.status} and not 401")
    expect(answer.headers.get("www-authenticate"), "there is no WWW-Authenticate")


@requirement("rfc7644-3.12-unauthorized", _ERRORS, SHOULD, "A missing credential is answered 401.")
def unauthorized(stage: Stage) -> None:
    expect_status(stage.target.send("GET", stage.users, with_credential=False), 401)


@requirement("rfc7644-3.12-error-form", _ERRORS, MUST, "An error is a JSON object of the Error schema.")
def error_form(stage: Stage) -> None:
    answer = _missing(stage)
    expect(answer.status >= 400, f"a resource that is not there is answered {answer.status}")
    expect(answer.document, "the body is no JSON object")
    expect(ERROR in (answer.document.get("schemas") or ()), f"schemas is {answer.document.get('schemas')!r}")


@requirement(
    "rfc7644-3.12-error-status", _ERRORS, MUST, "status of an error is the HTTP status as a JSON string."
)
def error_status(stage: Stage) -> None:
    answer = _missing(stage)
    seen = answer.document.get("status")
    expect(seen == str(answer.status), f"status is {seen!r} with HTTP {answer.status}")


@requirement("rfc7644-3.12-error-media-type", _ERRORS, MUST, "An error is of the type application/scim+json.")
def error_media_type(stage: Stage) -> None:
    answer = _missing(stage)
    expect(media_type(answer) == "application/scim+json", f"Content-Type is {media_type(answer)!r}")


@requirement(
    "rfc7644-3.12-unauthorized-form", _ERRORS, MUST, "An answer to a missing credential is a SCIM error too."
)
def unauthorized_form(stage: Stage) -> None:
    answer = stage.target.send("GET", stage.users, with_credential=False)
    expect(answer.status >= 400, f"GET is answered {answer.status}")
    expect(ERROR in (answer.document.get("schemas") or ()), f"the body is {answer.text[:200]!r}")
    expect(
        answer.document.get("status") == str(answer.status), f"status is {answer.document.get('status')!r}"
    )


@requirement("rfc7644-3.12-endpoint-unknown", _ERRORS, MUST, "An endpoint that is not there is answered 404.")
def endpoint_unknown(stage: Stage) -> None:
    answer = stage.target.get(stage.name("Endpoint"))
    expect_error(answer, 404)
    expect(ERROR in (answer.document.get("schemas") or ()), f"the body is {answer.text[:200]!r}")


@requirement(
    "rfc7644-3.12-unparsable",
    _ERRORS,
    MUST,
    "A body that is no JSON is refused, and the error is a SCIM error.",
)
def unparsable(stage: Stage) -> None:
    answer = stage.target.send("POST", stage.users, content=b'{"schemas": [')
    expect_refused(answer)
    expect(ERROR in (answer.document.get("schemas") or ()), f"the body is {answer.text[:200]!r}")


@requirement(
    "rfc7644-3.12-unparsable-type", _ERRORS, SHOULD, "A body that is no JSON is answered 400 invalidSyntax."
)
def unparsable_type(stage: Stage) -> None:
    expect_error(stage.target.send("POST", stage.users, content=b'{"schemas": ['), 400, "invalidSyntax")


@requirement("rfc7644-3.12-no-object", _ERRORS, SHOULD, "A JSON body that is no object is answered 400.")
def no_object(stage: Stage) -> None:
    for body in (["a"], "a", 1):
        expect_status(stage.target.post(stage.users, body), 400)


@requirement("rfc7644-3.12-no-body", _ERRORS, SHOULD, "A creation without a body is answered 400.")
def no_body(stage: Stage) -> None:
    expect_status(stage.target.send("POST", stage.users, content=b""), 400)


@requirement(
    "rfc7644-3.12-method", "RFC 7644 §3.2", MUST, "A method that an endpoint does not have changes nothing."
)
def method(stage: Stage) -> None:
    made = stage.new_user()
    for verb, path in (("DELETE", stage.users), ("PUT", stage.users), ("POST", made.path)):
        body = None if verb == "DELETE" else stage.user_body()
        expect_refused(stage.target.send(verb, path, body))
    expect(stage.target.get(made.path).status == 200, "the user is gone")


@requirement(
    "rfc7644-3.13-version",
    "RFC 7644 §3.13",
    SHOULD,
    "The path /v2 of a base URL that has one is not answered 1.x.",
)
def version(stage: Stage) -> None:
    schemas = stage.target.get(stage.users).document.get("schemas") or ()
    old = [each for each in schemas if "scim:schemas:core:1" in str(each)]
    expect(not old, f"SCIM 1 is spoken: {old}")
