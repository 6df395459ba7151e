"""Too many requests of one connection are answered 429, as identity providers understand it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from flask.testing import FlaskClient

from tests.http.conftest import USER, Tenant


def test_a_request_too_many_says_when_to_come_again(
    tenant: Tenant, limited: Callable[[int], FlaskClient]
) -> None:
    client = limited(3)
    idp = replace(tenant.scim, client=client)
    assert [idp.get("/Users").status_code for _ in range(3)] == [200] * 3
    refused = idp.post("/Users", {"schemas": [USER], "userName": "ada"})
    assert (refused.status_code, refused.headers["Retry-After"]) == (429, "1")
    document = refused.get_json()
    assert document["schemas"] == ["urn:ietf:params:scim:api:messages:2.0:Error"]
    assert (document["status"], refused.content_type) == ("429", "application/scim+json")
    assert idp.get("/Events/unknown").status_code == 429
    assert tenant.scim.get("/Users").get_json()["totalResults"] == 0, "what was refused was not done"


def test_one_connection_does_not_pay_for_another(
    tenant: Tenant, limited: Callable[[int], FlaskClient]
) -> None:
    client = limited(1)
    loud, quiet = (replace(each, client=client) for each in (tenant.scim, tenant.connect("okta")))
    assert [loud.get("/Users").status_code for _ in range(5)] == [200] + [429] * 4
    assert quiet.get("/Users").status_code == 200
    operator = replace(tenant.operator, client=client)
    assert {operator.get("/connections").status_code for _ in range(5)} == {200}


def test_a_stranger_learns_nothing_of_limits(tenant: Tenant, limited: Callable[[int], FlaskClient]) -> None:
    client = limited(1)
    stranger = replace(tenant.scim, client=client, headers={"Authorization": "Bearer nonsense"})
    assert {stranger.get("/Users").status_code for _ in range(5)} == {401}
    assert replace(tenant.scim, client=client).get("/Users").status_code == 200
