"""The field's own test tools find nothing wrong with a live server."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from scim2_client.engines.httpx2 import SyncSCIMClient
from scim2_models import ScimPolicy, ScimProvider
from scim2_tester import Status, check_server

from tests.processes.conftest import LiveServer


def test_scim2_tester_finds_only_success(new_server: Callable[..., LiveServer]) -> None:
    # It waits for nothing, and heeds no Retry-After.
    server = new_server(KEYSTEWARD_CONNECTION_BURST="100000")
    with server.scim() as http:
        # Its model of the configuration is older than RFC 9967, whose securityEvents it would not read.
        reading = ScimPolicy(unknown=ScimPolicy.Unknown.ignore)
        client = SyncSCIMClient(http, provider=ScimProvider(policy=reading))
        client.discover()
        results = check_server(client)
    listed = json.loads((Path(__file__).parents[2] / "schemas/resource-types.json").read_text())
    assert {rt.name for rt in client.provider.resource_types} == {
        each["name"] for each in listed if "catalogue" not in each
    }
    assert len(results) > 100
    not_successful = [
        f"{each.status.name} {each.title}: {each.reason}" for each in results if each.status != Status.SUCCESS
    ]
    assert not_successful == []


def test_scim_sanity_finds_no_failure(new_server: Callable[..., LiveServer]) -> None:
    server = new_server()
    probe = subprocess.run(
        [
            *(sys.executable, "-m", "scim_sanity.cli", "probe", server.credentials["scim"]["url"]),
            *("--token", server.credentials["scim"]["token"]),
            *("--strict", "--json-output", "--i-accept-side-effects"),
        ],
        capture_output=True,
        text=True,
        timeout=120,
    )
    report = json.loads(probe.stdout)
    assert probe.returncode == 0, report
    assert report["summary"]["failed"] == 0
    assert report["summary"]["passed"] > 25
