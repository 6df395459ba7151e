"""Too many requests of one connection are answered 429, as identity providers understand it."""

from __future__ import annotations

from dataclasses import replace

from app import create_app
from app.settings import Settings
from tests.http.conftest import Tenant


def test_a_request_too_many_says_when_to_come_again(tenant: Tenant, settings: Settings) -> None:
    limited = create_app(replace(settings, connection_requests_per_second=2)).test_client()
    idp = replace(tenant.scim, client=limited)
    answers = [idp.get("/Users") for _ in range(30)]
    refused = [each for each in answers if each.status_code == 429]
    assert answers[0].status_code == 200
    assert refused
    assert {int(each.headers["Retry-After"]) for each in refused} == {1}
    document = refused[0].get_json()
    assert document["schemas"] == ["urn:ietf:params:scim:api:messages:2.0:Error"]
    assert (document["status"], refused[0].content_type) == ("429", "application/scim+json")
    other = replace(tenant.connect("okta"), client=limited)
    assert other.get("/Users").status_code == 200
    assert idp.get("/Events/unknown").status_code in (404, 429)


def test_a_stranger_learns_nothing_of_limits(tenant: Tenant, settings: Settings) -> None:
    limited = create_app(replace(settings, connection_requests_per_second=1)).test_client()
    stranger = replace(tenant.scim, client=limited, headers={"Authorization": "Bearer nonsense"})
    assert {stranger.get("/Users").status_code for _ in range(10)} == {401}
