"""Resource types of an operator's own: schema files and a line of configuration, and no code."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask

from app import create_app
from app.scim.resource_types import SchemasInvalid, load_resource_types
from app.settings import Settings
from app.store.tables import resource
from tests.http.conftest import PATCH, USER, Face, Tenant

DEVICE = "urn:example:scim:schemas:core:1.0:Device"
SITE = "urn:example:scim:schemas:extension:1.0:Site"
BADGE = "urn:example:scim:schemas:extension:1.0:Badge"


def attribute(name: str, **characteristics: Any) -> dict[str, Any]:
    return {
        "name": name,
        "type": "string",
        "multiValued": False,
        "description": name,
        "required": False,
        "caseExact": False,
        "mutability": "readWrite",
        "returned": "default",
        "uniqueness": "none",
        **characteristics,
    }


def schema(identity: str, name: str, *attributes: dict[str, Any]) -> dict[str, Any]:
    return {
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:Schema"],
        "id": identity,
        "name": name,
        "description": name,
        "attributes": list(attributes),
    }


FILES: dict[str, Any] = {
    "device.json": schema(
        DEVICE,
        "Device",
        attribute("serial", required=True, uniqueness="server", caseExact=True),
        attribute("label"),
        attribute("madeIn", mutability="immutable"),
        attribute("pin", mutability="writeOnly", returned="never"),
        attribute("notes", returned="request"),
        attribute("weight", type="integer"),
        attribute("ports", multiValued=True),
        attribute("members", multiValued=True),
        attribute("groups", multiValued=True),
        {
            "name": "asset",
            "type": "complex",
            "multiValued": False,
            "description": "asset",
            "required": False,
            "subAttributes": [
                attribute("tag", uniqueness="server"),
                attribute("key", mutability="writeOnly", returned="never"),
            ],
        },
    ),
    "site.json": schema(SITE, "Site", attribute("building", required=True)),
    "badge.json": schema(
        BADGE, "Badge", attribute("number", uniqueness="server"), attribute("level", type="integer")
    ),
    "resource-types.json": [
        {
            "name": "Device",
            "endpoint": "/Devices",
            "description": "What stands on desks",
            "schema": "device.json",
            "extensions": [{"file": "site.json", "required": True}],
        },
        {"name": "User", "extensions": [{"file": "badge.json"}]},
    ],
}


def written(folder: Path) -> Path:
    """Write the files into a folder that is there."""
    for name, content in FILES.items():
        (folder / name).write_text(json.dumps(content))
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return written(tmp_path)


@pytest.fixture(scope="module")
def application(settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Flask:
    """Return an application with the types of a folder: it takes seconds to make their models."""
    return create_app(replace(settings, schemas_dir=written(tmp_path_factory.mktemp("schemas"))))


@pytest.fixture
def idp(tenant: Tenant, application: Flask) -> Face:
    """Return the tenant's connection on that application."""
    return replace(tenant.scim, client=application.test_client())


def device(**attributes: Any) -> dict[str, Any]:
    return {
        "schemas": [DEVICE, SITE],
        "serial": "S1",
        "label": "Blue",
        SITE: {"building": "B 1"},
        **attributes,
    }


def test_a_type_is_served_as_any_other(idp: Face) -> None:
    served = {each["name"]: each for each in idp.get("/ResourceTypes").get_json()["Resources"]}
    assert served["Device"]["schemaExtensions"] == [{"schema": SITE, "required": True}]
    assert {each["schema"] for each in served["User"]["schemaExtensions"]} >= {BADGE}
    made = idp.post("/Devices", device(weight=3, ports=["USB", "HDMI"], madeIn="Ulm", pin="1234", notes="n"))
    assert made.status_code == 201, made.text
    location = f"/Devices/{made.get_json()['id']}"
    assert made.headers["Location"].endswith(location)
    read = idp.get(location).get_json()
    assert read["meta"]["resourceType"] == "Device"
    assert (read["weight"], read["ports"], read[SITE]) == (3, ["USB", "HDMI"], {"building": "B 1"})
    assert "pin" not in made.text + json.dumps(read)
    assert "notes" not in read
    assert idp.get(location, attributes="notes").get_json()["notes"] == "n"
    patched = idp.patch(location, {"op": "replace", "path": f"{SITE}:building", "value": "B 2"})
    assert patched.get_json()[SITE] == {"building": "B 2"}
    assert idp.patch(location, {"op": "replace", "path": "madeIn", "value": "Bonn"}).status_code == 400
    assert idp.delete(location).status_code == 204
    assert idp.get(location).status_code == 404


def test_it_is_found_sorted_and_paged(idp: Face) -> None:
    for serial, building, weight in (("c", "North", 1), ("a", "South", 3), ("b", "North", 2)):
        answer = idp.post("/Devices", device(serial=serial, weight=weight, **{SITE: {"building": building}}))
        assert answer.status_code == 201, answer.text

    def serials(**query: Any) -> list[str]:
        found = idp.get("/Devices", **query)
        assert found.status_code == 200, found.text
        return [each["serial"] for each in found.get_json()["Resources"]]

    assert serials(filter="weight gt 1", sortBy="weight") == ["b", "a"]
    assert serials(filter=f'{SITE}:building eq "north"', sortBy="serial") == ["b", "c"]
    assert serials(filter='serial eq "A"') == []
    assert serials(sortBy="serial", sortOrder="descending", count=2) == ["c", "b"]
    assert idp.get("/Devices", filter='nothing eq "x"').status_code in (200, 400)


def test_an_attribute_of_any_name_is_its_own(idp: Face) -> None:
    """``members`` and ``groups`` mean something of groups and users alone."""
    names = {"members": ["a", "b"], "groups": ["c"]}
    made = idp.post("/Devices", device(**names)).get_json()
    read = idp.get(f"/Devices/{made['id']}").get_json()
    assert {name: read[name] for name in names} == names
    for scim_filter in ('members eq "B"', 'groups eq "c"', "members pr"):
        assert idp.get("/Devices", filter=scim_filter).get_json()["totalResults"] == 1, scim_filter
    assert idp.get("/Devices", filter='members eq "c"').get_json()["totalResults"] == 0
    assert idp.get("/Devices", sortBy="members").status_code == 200


def test_what_is_never_returned_is_kept_and_tells_nothing(tenant: Tenant, idp: Face) -> None:
    made = idp.post("/Devices", device(pin="1234", asset={"tag": "T1", "key": "secret"})).get_json()
    location = f"/Devices/{made['id']}"

    def kept() -> tuple[Any, Any]:
        ((stored,),) = tenant.sql(sa.select(resource.c.document).where(resource.c.id == made["id"]))
        return stored.get("pin"), stored.get("asset", {}).get("key")

    read = idp.get(location, attributes="pin,asset,serial").get_json()
    assert "pin" not in read
    assert "key" not in read["asset"]
    # A client sends back what it saw.
    assert idp.put(location, {**idp.get(location).get_json(), "label": "Red"}).status_code == 200
    assert kept() == ("1234", "secret")
    assert idp.patch(location, {"op": "replace", "path": "label", "value": "Green"}).status_code == 200
    assert kept() == ("1234", "secret")
    assert idp.put(location, device(pin="5678")).status_code == 200
    assert kept()[0] == "5678"
    for scim_filter in ('pin sw "5"', "pin pr", 'asset.key eq "secret"', 'asset[key sw "s"]'):
        answer = idp.get("/Devices", filter=scim_filter)
        assert (answer.status_code, answer.get_json().get("scimType")) == (400, "invalidFilter"), scim_filter
    assert idp.get("/Devices", sortBy="pin").status_code == 400


def test_uniqueness_holds_in_an_extension_and_below_an_attribute(idp: Face) -> None:
    user = {"schemas": [USER, BADGE], "userName": "ada", BADGE: {"number": "N7", "level": 3}}
    assert idp.post("/Users", user).status_code == 201
    taken = idp.post("/Users", {**user, "userName": "bob", BADGE: {"number": "n7"}})
    assert (taken.status_code, taken.get_json()["scimType"]) == (409, "uniqueness")
    assert idp.get("/Users", filter=f'{BADGE}:number eq "n7"').get_json()["totalResults"] == 1
    assert idp.get("/Users", filter=f"{BADGE}:level gt 2").get_json()["totalResults"] == 1
    assert idp.post("/Devices", device(asset={"tag": "T1"})).status_code == 201
    assert idp.post("/Devices", device(serial="S2", asset={"tag": "t1"})).status_code == 409
    assert idp.post("/Devices", device(serial="S2", asset={"tag": "t2"})).status_code == 201


def test_what_an_extension_said_is_left_out_when_it_is_gone(
    tenant: Tenant, idp: Face, settings: Settings
) -> None:
    made = idp.post(
        "/Users", {"schemas": [USER, BADGE], "userName": "ada", BADGE: {"number": "77"}}
    ).get_json()
    # The application without the folder knows neither the extension nor the devices.
    assert idp.post("/Devices", device()).status_code == 201
    read = tenant.scim.get(f"/Users/{made['id']}")
    assert read.status_code == 200, read.text
    assert BADGE not in read.get_json()
    assert BADGE not in read.get_json()["schemas"]
    patched = tenant.scim.patch(f"/Users/{made['id']}", {"op": "add", "path": "title", "value": "Boss"})
    assert patched.status_code == 200, patched.text
    listed = tenant.scim.get("/").get_json()
    assert listed["totalResults"] == 1


def test_its_schema_decides_what_is_refused(idp: Face) -> None:
    assert idp.post("/Devices", device()).status_code == 201
    for body, status in (
        (device(), 409),
        ({key: value for key, value in device(serial="S2").items() if key != SITE}, 400),
        (device(serial="S2", **{SITE: {}}), 400),
        ({key: value for key, value in device().items() if key != "serial"}, 400),
        (device(serial="S2", weight="heavy"), 400),
    ):
        assert idp.post("/Devices", body).status_code == status, body
    assert idp.get("/Devices").get_json()["totalResults"] == 1


def test_a_further_extension_of_users_is_kept_and_found(idp: Face) -> None:
    made = idp.post("/Users", {"schemas": [USER, BADGE], "userName": "ada", BADGE: {"number": "77"}})
    assert made.get_json()[BADGE] == {"number": "77"}
    found = idp.get("/Users", filter=f'{BADGE}:number eq "77"').get_json()
    assert [each["userName"] for each in found["Resources"]] == ["ada"]


def test_roles_and_agents_are_there(tenant: Tenant) -> None:
    role = {"schemas": ["urn:ietf:params:scim:schemas:core:2.0:Role"], "value": "admin", "display": "Admins"}
    assert tenant.scim.post("/Roles", role).status_code == 201
    assert tenant.scim.post("/Roles", role).status_code == 409
    ada = tenant.user("ada")
    agent = {
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:Agent"],
        "agentUserName": "support-agent",
        "displayName": "Support Agent",
        "active": True,
        "owners": [{"value": ada}],
    }
    made = tenant.scim.post("/Agents", agent)
    assert made.status_code == 201, made.text
    found = tenant.scim.get("/Agents", filter='agentUserName eq "SUPPORT-AGENT" and active eq true')
    assert found.get_json()["totalResults"] == 1
    operation = {"op": "replace", "path": "active", "value": False}
    body = {"schemas": [PATCH], "Operations": [operation]}
    answer = tenant.scim.send("PATCH", f"/Agents/{made.get_json()['id']}", body)
    assert answer.get_json()["active"] is False


@pytest.mark.parametrize(
    ("file", "content", "said"),
    [
        ("resource-types.json", "{", "JSON"),
        ("resource-types.json", "{}", "list"),
        ("resource-types.json", '[{"endpoint": "/X", "schema": "device.json"}]', "name"),
        ("resource-types.json", '[{"name": "X", "endpoint": "/X", "schema": "gone.json"}]', "gone.json"),
        ("resource-types.json", '[{"name": "User", "endpoint": "/U", "schema": "device.json"}]', "User"),
        ("device.json", '{"attributes": [{"name": 7}]}', "device.json"),
        ("resource-types.json", '[{"name": "X", "endpoint": "/Me", "schema": "device.json"}]', "/Me"),
        ("resource-types.json", '[{"name": "X", "endpoint": "/Events", "schema": "device.json"}]', "/Events"),
        ("resource-types.json", '[{"name": "X", "endpoint": "/a/b", "schema": "device.json"}]', "/a/b"),
        ("resource-types.json", '[{"name": "X", "endpoint": "/X", "schemas": "device.json"}]', "schemas"),
        (
            "resource-types.json",
            '[{"name": "Usr", "extensions": [{"file": "badge.json"}]}]',
            "no Usr to extend",
        ),
        ("badge.json", json.dumps(schema(SITE, "Badge", attribute("x"))), "differ"),
        ("badge.json", json.dumps(schema(BADGE, "Badge", attribute("Meta"))), "Meta"),
        ("badge.json", json.dumps(schema(BADGE, "Badge", attribute("a"), attribute("A"))), "alike"),
        ("badge.json", json.dumps(schema(BADGE, "Badge", attribute("a", mutability="writeOnly"))), "never"),
        ("badge.json", json.dumps(schema(BADGE, "Badge", attribute("a b"))), "a b"),
    ],
)
def test_a_wrong_file_is_said_in_one_line(folder: Path, file: str, content: str, said: str) -> None:
    (folder / file).write_text(content)
    with pytest.raises(SchemasInvalid, match=said) as raised:
        load_resource_types(folder)
    assert "\n" not in str(raised.value)


def test_types_that_do_not_fit_together_stop_the_start(folder: Path) -> None:
    listed = [{"name": "Device", "endpoint": "/Users", "schema": "device.json"}]
    (folder / "resource-types.json").write_text(json.dumps(listed))
    settings = Settings.from_environment(
        {"KEYSTEWARD_DATA_DIR": str(folder), "KEYSTEWARD_SCHEMAS_DIR": str(folder)}
    )
    with pytest.raises(SchemasInvalid, match="fit together"):
        create_app(settings)
