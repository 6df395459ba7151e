"""Every example of docs/operator-api.md does what the document says."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.processes.conftest import LiveServer
from tests.processes.directory_of_people import USER, create, entitlement

TEXT = (Path(__file__).parents[2] / "docs" / "operator-api.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```sh\n(.*?)```(?:\n\n```text\n(.*?)```)?", TEXT, re.DOTALL)
END = "-- the end of an example --"

pytestmark = pytest.mark.skipif(
    not all(map(shutil.which, ("curl", "bash"))), reason="needs the Debian packages curl and bash"
)


def test_the_examples(new_server: Callable[..., LiveServer], tmp_path: Path) -> None:
    server = new_server()
    with server.scim() as scim:
        create(scim, "Entitlements", entitlement("orders-read", keyPolicy={"issuance": "manual"}))
        ada = {"schemas": [USER], "userName": "ada@example.com", "entitlements": [{"value": "orders-read"}]}
        create(scim, "Users", ada)
    here = tmp_path / "here"
    here.mkdir()
    header = f"Authorization: Bearer {server.credentials['operator']['token']}\n"
    (here / "operator.header").write_text(header, encoding="utf-8")
    done = subprocess.run(
        ["bash", "-euo", "pipefail"],
        input="\n".join(f"{example}\necho '{END}'" for example, _ in EXAMPLES),
        cwd=here,
        env={**os.environ, "OPERATOR": server.credentials["operator"]["url"].rstrip("/")},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    told = done.stdout.split(f"{END}\n")
    for (example, expected), printed in zip(EXAMPLES, told, strict=False):
        wanted = ".+".join(map(re.escape, expected.split("…")))
        assert re.fullmatch(wanted, printed, re.DOTALL), (example, printed)
    assert os.listdir(here) == ["operator.header"]
