"""The OpenAPI document says what the operator's face is: no more, no less; schemathesis asks the real one."""

from __future__ import annotations

import re
from typing import Any

import pytest
import schemathesis
from flask import Flask
from hypothesis import HealthCheck, settings
from openapi_spec_validator import validate
from schemathesis import Case, checks
from schemathesis.config import SchemathesisConfig

from app import FOLDING
from app.operator.openapi.document import document
from app.operator.openapi.operations import PATH_PARAMETER
from tests.http.conftest import Tenant

OTHERS = ("/oauth2/revoke", "/global-token-revocation", "/global-token-revocation/<client_id>")


def documented() -> set[tuple[str, str]]:
    return {(method.upper(), url) for url, each in document()["paths"].items() for method in each}


def test_the_document_is_served_to_anybody(app: Flask) -> None:
    answer = app.test_client().get("/operator/v1/openapi.json")
    assert answer.status_code == 200
    assert answer.get_json() == document()


def test_it_is_valid() -> None:
    validate(document())


def test_every_route_is_in_it_and_the_other_way_round(app: Flask) -> None:
    served = {
        (method, PATH_PARAMETER.sub(r"{\1}", rule.rule))
        for rule in app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
        if rule.rule.startswith("/operator/v1") or rule.rule in OTHERS
    }
    assert served == documented()


def test_every_operation_says_who_may(app: Flask, tenant: Tenant) -> None:
    """Without a token all but the document is refused; with one of a scope that is not named, too."""
    for method, url in sorted(documented() - {("GET", "/operator/v1/openapi.json")}):
        ways = document()["paths"][url][method.lower()]["security"]
        scopes = [each for way in ways for each in way.get("bearer", ())]
        path = re.sub(r"\{[a-z_]+\}", "x", url)
        anonymous = app.test_client().open(path, method=method, json={} if method != "GET" else None)
        assert anonymous.status_code == 401, (method, url)
        for scope, face in (("operator", tenant.operator), ("scim", tenant.scim)):
            answer = app.test_client().open(path, method=method, headers=face.headers)
            if scopes:
                assert (answer.status_code == 403) is (scope not in scopes), (method, url, scope)
            else:
                assert answer.status_code == 401, "no token opens what takes assertions alone"


@pytest.mark.parametrize(("method", "url"), sorted(each for each in documented() if each[0] == "GET"))
def test_the_parameters_of_a_query_are_those_that_are_read(tenant: Tenant, method: str, url: str) -> None:
    if url.endswith("/openapi.json"):
        return
    path = re.sub(r"\{[a-z_]+\}", "x", url)
    answer = tenant.operator.client.get(f"{path}?nonsense=1", headers=tenant.operator.headers)
    assert answer.status_code == 400
    told = answer.get_json()["detail"].rpartition("there is ")[2]
    described = document()["paths"][url]["get"].get("parameters", [])
    assert set(told.split(", ")) - {"none"} == {each["name"] for each in described if each["in"] == "query"}


@pytest.fixture
def things(tenant: Tenant) -> dict[str, str]:
    """Return ids of what there is, by the names of the parameters that take them."""
    group_id = tenant.group("readers")
    tenant.entitlement("orders", groups=(group_id,))
    user_id = tenant.user("ada", entitlements=[{"value": "orders"}, {"value": "nothing"}])
    key = tenant.key(user_id, "orders")
    made = tenant.operator.post("/connections", {"name": "okta", "dialect": "okta"}).get_json()["id"]
    jwks = {
        "keys": [
            {"kty": "OKP", "crv": "Ed25519", "kid": "1", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}
        ]
    }
    assert tenant.verify(key) == "allow"
    tenant.flask.extensions[FOLDING].fold_all()
    (decision,) = tenant.operator.get("/decisions").get_json()["Resources"]
    client = tenant.operator.post(f"/connections/{made}/clients", {"name": "a client", "jwks": jwks})
    return {
        "key_id": key.id,
        "consumer_id": user_id,
        "connection_id": made,
        "brake_id": tenant.brake(made),
        "batch_id": decision["batch"],
        "client_id": client.get_json()["id"],
        "urn": "urn:keysteward:scim:schemas:core:1.0:Key",
    }


# What is too large is refused with 413, whatever else is wrong with it.
config = SchemathesisConfig.from_dict({"checks": {"negative_data_rejection": {"expected-statuses": ["4xx"]}}})
schema = schemathesis.openapi.from_dict(document(), config=config)
# A plan of the most requests there may be takes its time; what plans are answered is held to it elsewhere.
quick = schema.exclude(path="/operator/v1/plan")
bounded = settings(
    max_examples=3,
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)
AS_ANNOUNCED = [
    checks.not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
]
# The document says all that a value must be but for what only the directory knows.
REFUSING = [*AS_ANNOUNCED, checks.negative_data_rejection]


def ask(case: Case, tenant: Tenant, things: dict[str, str], refusing: list[Any]) -> None:
    """Ask about anything, and then about something that there is, where a path takes an id."""
    headers = tenant.operator.headers
    case.validate_response(case.call(app=tenant.flask, headers=headers), checks=refusing)
    if case.path_parameters:
        case.path_parameters = {name: things[name] for name in case.path_parameters}
        case.validate_response(case.call(app=tenant.flask, headers=headers), checks=AS_ANNOUNCED)


@quick.parametrize()
@bounded
def test_whatever_is_asked_is_answered_as_announced(
    case: Case, tenant: Tenant, things: dict[str, str]
) -> None:
    ask(case, tenant, things, REFUSING)


@pytest.mark.slow
@schema.parametrize()
@settings(bounded, max_examples=200, derandomize=False)
def test_whatever_is_asked_often_is_answered_as_announced(
    case: Case, tenant: Tenant, things: dict[str, str]
) -> None:
    ask(case, tenant, things, AS_ANNOUNCED)
