"""The field's own test tool finds nothing wrong with any type that a dialect lists."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from scim2_client.engines.werkzeug import TestSCIMClient
from scim2_models import ScimPolicy, ScimProvider
from scim2_tester import Status, check_server
from werkzeug.test import Client

from tests.http.conftest import Tenant


@pytest.mark.slow
@pytest.mark.parametrize("dialect", ["okta", "ietf"])
def test_scim2_tester_finds_only_success(found: Callable[..., Tenant], dialect: str) -> None:
    tenant = found(dialect=dialect)
    # Its model of the configuration is older than what the configuration says.
    reading = ScimProvider(policy=ScimPolicy(unknown=ScimPolicy.Unknown.ignore))
    environ = {"headers": tenant.scim.headers}
    client = TestSCIMClient(Client(tenant.flask), scim_prefix="/scim/v2", environ=environ, provider=reading)
    client.discover()
    results = check_server(client)
    listed = {each["name"] for each in tenant.scim.get("/ResourceTypes").get_json()["Resources"]}
    assert {each.resource_type for each in results if each.resource_type} == listed
    assert [
        f"{each.resource_type} {each.title}: {each.reason}"
        for each in results
        if each.status is not Status.SUCCESS
    ] == []
