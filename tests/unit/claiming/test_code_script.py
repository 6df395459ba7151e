"""The one script there is: it puts the code of a link into the form, and takes it out of the address."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

import app.claiming

SCRIPT = Path(app.claiming.__file__).parent / "templates" / "claiming" / "code.js"

# What of a browser the script needs.
BROWSER = """
const field = { value: "" };
globalThis.location = { hash: %s, pathname: "/claim" };
globalThis.document = { getElementById: (id) => (id === "code" ? field : null) };
const addresses = [];
globalThis.history = { replaceState: (state, title, address) => addresses.push(address) };
require("node:vm").runInThisContext(require("node:fs").readFileSync(0, "utf8"));
console.log(JSON.stringify({ value: field.value, addresses }));
"""


@pytest.mark.skipif(shutil.which("node") is None, reason="there is no JavaScript engine here")
@pytest.mark.parametrize(
    ("fragment", "value", "addresses"),
    [("#kst_claim_abc", "kst_claim_abc", ["/claim"]), ("", "", []), ("#", "", [])],
)
def test_the_code_moves_from_the_address_into_the_form(
    fragment: str, value: str, addresses: list[str]
) -> None:
    printed = subprocess.run(
        ["node", "-e", BROWSER % json.dumps(fragment)],
        input=SCRIPT.read_bytes(),
        capture_output=True,
        check=True,
    ).stdout
    assert json.loads(printed) == {"value": value, "addresses": addresses}
