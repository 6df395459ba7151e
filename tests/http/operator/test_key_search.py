"""Keys as SCIM resources: filter, order, pages, attributes and versions, by the library's own judgement."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scim2_models import ScimFilter

from app.operator import key_search
from app.operator.key_schema import KEY_SCHEMA, KeyResource
from app.store.tables import activity, direct_value, key, mapping
from tests.http.operator.conftest import Client, Directory

DAY = 24 * 3600 * 1_000_000


@pytest.fixture
def scene(directory: Directory, operator: Client) -> Directory:
    """Return a tenant with keys in every state, of one that lapsed and was not swept among them."""
    for value in ("orders", "invoices"):
        directory.entitlement(value, issuance="automatic")
    names = ("ada", "Bob", "cyd", "dan", "eve", "lou", "max")
    ids = {name: directory.user(name, "orders", "invoices") for name in names}
    keys = operator.get("/keys", count=100).get_json()["Resources"]
    of = {name: [each["id"] for each in keys if each["consumer"]["userName"] == name] for name in names}
    for key_id in (*of["ada"], of["Bob"][0], *of["lou"], of["max"][0]):
        assert operator.post(f"/keys/{key_id}/claim").status_code == 200
    assert operator.post(f"/keys/{of['ada'][0]}/rotate").status_code == 200
    operator.post(f"/keys/{of['cyd'][0]}/revoke", {"reason": "left a laptop on the train"})
    directory.change(ids["dan"], "dan", "orders", "invoices", active=False)
    directory.change(ids["eve"], "eve", "invoices")
    with directory.writing() as unit:
        for carrier in (activity, direct_value, mapping):
            unit.execute(
                sa.update(carrier)
                .where(carrier.c.tenant_id == unit.tenant_id)
                .values(since=carrier.c.since - 10 * DAY)
            )
        long_ago = unit.now - 9 * DAY
        unit.execute(sa.update(key).where(key.c.id.in_(of["lou"])).values(issued_at=long_ago))
        unit.execute(
            sa.update(activity).where(activity.c.consumer_id == ids["lou"]).values(until=unit.now - 5 * DAY)
        )
        unit.execute(sa.update(key).where(key.c.id.in_(of["max"])).values(expires_at=unit.now))
    return directory


ATOMS = (
    'state eq "issued"',
    'state eq "active"',
    'state ne "revoked"',
    'state eq "Active"',
    'state sw "re"',
    "state pr",
    'state gt "dormant"',
    'reason eq "right_lapsed"',
    "reason pr",
    "reason eq null",
    'reason ne "expired"',
    'reason co "train"',
    'consumer.userName eq "ada"',
    'consumer.userName eq "ADA"',
    'consumer.userName sw "B"',
    'consumer.userName gt "cyd"',
    'consumer.userName ew "n"',
    "consumer pr",
    "consumer eq null",
    'entitlements.display eq "orders"',
    'entitlements[display eq "invoices" and value pr]',
    'entitlements.display ne "orders"',
    "entitlements pr",
    'entitlements eq "orders"',
    "claimedAt pr",
    "claimedAt eq null",
    'createdAt lt "2026-01-01T00:00:00Z"',
    'createdAt ge "2026-01-01T00:00:00+02:00"',
    "expiresAt pr",
    "revokedAt pr",
    "lastUsedAt pr",
    "externalId pr",
    'meta.resourceType eq "Key"',
    'meta.lastModified gt "2026-01-01T00:00:00Z"',
    'id sw "key_"',
    f'{KEY_SCHEMA}:state eq "expired"',
)


def joined(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.one_of(
        inner.map(lambda each: f"not ({each})"),
        st.tuples(inner, st.sampled_from(["and", "or"]), inner).map(lambda each: f"({' '.join(each)})"),
    )


def every(operator: Client) -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = operator.get("/keys", count=1000).get_json()["Resources"]
    return listed


def meant(documents: list[dict[str, Any]], said: str) -> list[str]:
    scim_filter = ScimFilter[KeyResource](said)  # type: ignore[valid-type]
    return [each["id"] for each in documents if scim_filter.match(KeyResource.model_validate(each))]


def by_cursor(operator: Client, count: int, **query: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    cursor = ""
    while True:
        page = operator.get("/keys", cursor=cursor, count=count, **query).get_json()
        assert page["itemsPerPage"] == len(page["Resources"]) <= count
        assert "startIndex" not in page
        found += page["Resources"]
        cursor = page.get("nextCursor")
        if cursor is None:
            return found


def test_keys_of_every_state_are_there(scene: Directory, operator: Client) -> None:
    listed = every(operator)
    assert {each["state"] for each in listed} == {"issued", "active", "dormant", "revoked", "expired"}
    lapsed = [each for each in listed if each["reason"] == "right_lapsed"]
    assert len(lapsed) == 2
    assert {each["revokedAt"] for each in lapsed if each["consumer"]["userName"] == "lou"} == {None}
    for each in listed:
        assert each["schemas"] == [KEY_SCHEMA]
        assert each["meta"]["resourceType"] == "Key"
        assert each["meta"]["created"] == each["createdAt"] <= each["meta"]["lastModified"]


def test_a_filter_finds_what_the_library_finds(scene: Directory, operator: Client) -> None:
    listed = every(operator)
    filters = st.recursive(st.sampled_from(ATOMS), joined, max_leaves=5)

    @settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(filters)
    def check(said: str) -> None:
        expected = meant(listed, said)
        answer = operator.get("/keys", filter=said, count=1000)
        assert answer.status_code == 200, (said, answer.text)
        page = answer.get_json()
        assert [each["id"] for each in page["Resources"]] == expected, said
        assert page["totalResults"] == len(expected)

    for said in ATOMS:
        check.hypothesis.inner_test(said)  # type: ignore[attr-defined]
    check()


def test_a_filter_and_the_parameters_hold_together(scene: Directory, operator: Client) -> None:
    said = 'entitlements.display eq "orders"'
    listed = operator.get("/keys", filter=said, state="active", consumer="ada").get_json()
    assert [each["consumer"]["userName"] for each in listed["Resources"]] == ["ada"]
    assert operator.get("/keys", filter=said, consumer="nobody").get_json()["totalResults"] == 0


def test_pages_by_number_and_by_cursor_are_the_same_list(scene: Directory, operator: Client) -> None:
    for said in (None, 'state ne "active"', 'consumer.userName ne "ada"'):
        for sort_by in (None, "consumer.userName", "claimedAt", "meta.lastModified", "revokedAt"):
            for order in ("ascending", "descending"):
                query = {"filter": said, "sortBy": sort_by, "sortOrder": order}
                given = {name: value for name, value in query.items() if value is not None}
                pages_are_the_same_list(operator, given)


def pages_are_the_same_list(operator: Client, query: dict[str, str]) -> None:
    whole = operator.get("/keys", count=100, **query).get_json()["Resources"]
    counted = []
    for start in range(1, len(whole) + 1, 4):
        counted += operator.get("/keys", startIndex=start, count=4, **query).get_json()["Resources"]
    assert counted == whole
    assert by_cursor(operator, 4, **query) == whole
    assert by_cursor(operator, len(whole), **query) == whole
    if sort_by := query.get("sortBy"):
        values = [_at(each, sort_by) for each in whole]
        missing = [value is None for value in values]
        said_values = [value for value in values if value is not None]
        assert said_values == sorted(said_values, reverse=query["sortOrder"] == "descending")
        # Missing values are last, and first when the order is descending.
        assert missing == sorted(missing, reverse=query["sortOrder"] == "descending")


def _at(document: dict[str, Any], path: str) -> Any:
    found: Any = document
    for name in path.split("."):
        found = found[name]
    return found


def test_a_page_by_cursor_looks_at_a_bounded_number_of_keys(
    scene: Directory, operator: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = meant(every(operator), 'state eq "revoked"')
    monkeypatch.setattr(key_search, "MOST_LOOKED_AT", 2)
    page = operator.get("/keys", filter='state eq "revoked"', cursor="", count=10).get_json()
    assert len(page["Resources"]) < len(expected)
    assert "totalResults" not in page
    assert [each["id"] for each in by_cursor(operator, 10, filter='state eq "revoked"')] == expected


def test_a_cursor_stays_where_it_is_while_others_write(scene: Directory, operator: Client) -> None:
    before = [each["id"] for each in every(operator)]
    page = operator.get("/keys", cursor="", count=5).get_json()
    assert page["totalResults"] == len(before)
    scene.user("new", "orders")
    operator.post(f"/keys/{before[7]}/revoke")
    found = [each["id"] for each in page["Resources"]]
    while cursor := page.get("nextCursor"):
        page = operator.get("/keys", cursor=cursor, count=5).get_json()
        found += [each["id"] for each in page["Resources"]]
    assert found[: len(before)] == before
    assert len(found) == len(before) + 1


def test_a_cursor_is_for_one_search_of_one_credential(
    scene: Directory, operator: Client, other_directory: Directory
) -> None:
    cursor = operator.get("/keys", cursor="", count=2).get_json()["nextCursor"]
    assert operator.get("/keys", cursor=cursor, count=2).status_code == 200
    for answer in (
        operator.get("/keys", cursor=cursor, count=3),
        operator.get("/keys", cursor=cursor, count=2, state="active"),
        operator.get("/keys", cursor=f"{'b' if cursor[0] == 'a' else 'a'}{cursor[1:]}", count=2),
        operator.get("/keys", cursor="nonsense", count=2),
        other_directory.client().get("/keys", cursor=cursor, count=2),
    ):
        assert answer.status_code == 400
        assert answer.get_json()["scimType"] in ("invalidCursor", "invalidCount")


@pytest.mark.parametrize(
    ("query", "scim_type"),
    [
        ({"filter": "nonsense"}, "invalidFilter"),
        ({"filter": 'nonsense eq "1"'}, "invalidFilter"),
        ({"filter": 'createdAt gt "yesterday"'}, "invalidFilter"),
        ({"filter": 'meta.version eq "1"'}, "invalidFilter"),
        ({"filter": 'meta.location eq "1"'}, "invalidFilter"),
        ({"filter": " or ".join(['id eq "x"'] * 201)}, "invalidFilter"),
        ({"filter": 'id eq "\0"'}, None),
        ({"filter": ""}, "invalidFilter"),
        ({"sortBy": "nonsense"}, "invalidPath"),
        ({"sortBy": "state"}, "invalidPath"),
        ({"sortBy": "reason"}, "invalidPath"),
        ({"sortBy": "entitlements"}, "invalidPath"),
        ({"sortBy": "consumer"}, "invalidPath"),
        ({"sortBy": "createdAt", "sortOrder": "upwards"}, "invalidValue"),
        ({"attributes": "nonsense"}, "invalidPath"),
        ({"excludedAttributes": "state.nonsense"}, "invalidPath"),
        ({"attributes": "id", "excludedAttributes": "state"}, None),
        ({"cursor": "", "startIndex": "1"}, None),
    ],
)
def test_what_is_not_understood_is_refused(
    operator: Client, query: dict[str, str], scim_type: str | None
) -> None:
    answer = operator.get("/keys", **query)
    assert answer.status_code == 400, answer.text
    assert answer.mimetype == "application/problem+json"
    problem = answer.get_json()
    assert problem.get("scimType") == scim_type
    assert "pydantic" not in problem["detail"]
    assert "app." not in problem["detail"]


def test_a_search_that_takes_too_long_is_given_up(
    scene: Directory, operator: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(key_search, "LONGEST_SEARCH", 0)
    answer = operator.get("/keys", filter='state eq "active"')
    assert answer.status_code == 422
    assert answer.get_json()["type"] == "urn:keysteward:problem:search-too-long"


def test_attributes_are_chosen(scene: Directory, operator: Client) -> None:
    (first, *_) = operator.get("/keys", attributes="state,consumer.userName", count=1).get_json()["Resources"]
    assert first == {
        "schemas": [KEY_SCHEMA],
        "id": first["id"],
        "state": first["state"],
        "consumer": {"userName": "lou"},
    }
    path = f"/keys/{first['id']}"
    whole = operator.get(path).get_json()
    less = operator.get(path, excludedAttributes=f"{KEY_SCHEMA}:meta,ENTITLEMENTS.value,id").get_json()
    assert less.keys() == whole.keys() - {"meta"}
    assert less["entitlements"] == [{"display": each["display"]} for each in whole["entitlements"]]


def test_a_key_has_a_version(scene: Directory, operator: Client) -> None:
    key_id = next(each["id"] for each in every(operator) if each["state"] == "active")
    path = f"/keys/{key_id}"
    answer = operator.get(path)
    version = answer.headers["ETag"]
    assert version == answer.get_json()["meta"]["version"]
    assert _conditional(operator, "GET", path, if_none_match=version).status_code == 304
    assert _conditional(operator, "GET", path, if_none_match='W/"other"').status_code == 200
    assert _conditional(operator, "GET", path, if_match='W/"other"').status_code == 412
    assert _conditional(operator, "POST", f"{path}/rotate", if_match=version).status_code == 200
    for action in ("rotate", "revoke", "claim"):
        refused = _conditional(operator, "POST", f"{path}/{action}", if_match=version)
        assert refused.status_code == 412
        assert refused.get_json()["type"] == "urn:keysteward:problem:version-outdated"
    after = operator.get(path)
    assert after.get_json()["state"] == "active"
    revoked = _conditional(operator, "POST", f"{path}/revoke", if_match=after.headers["ETag"])
    assert revoked.status_code == 200
    assert revoked.headers["ETag"] not in (version, after.headers["ETag"])


def test_the_directory_changes_the_version_of_a_key(scene: Directory, operator: Client) -> None:
    found = next(each for each in every(operator) if each["state"] == "active")
    holder = found["consumer"]
    scene.change(holder["value"], holder["userName"], "orders", "invoices", active=False)
    again = operator.get(f"/keys/{found['id']}")
    assert again.get_json()["state"] == "dormant"
    assert again.headers["ETag"] != found["meta"]["version"]


def test_a_retried_action_is_answered_although_its_version_is_old(scene: Directory, operator: Client) -> None:
    path = f"/keys/{next(each['id'] for each in every(operator) if each['state'] == 'active')}"
    version = operator.get(path).headers["ETag"]
    answers = [
        _conditional(operator, "POST", f"{path}/rotate", if_match=version, idempotency_key='"once"')
        for _ in range(2)
    ]
    assert [each.status_code for each in answers] == [200, 200]
    assert answers[0].get_json() == answers[1].get_json()


def test_the_schema_is_served(operator: Client) -> None:
    (listed,) = operator.get("/schemas").get_json()["Resources"]
    shown = operator.get(f"/schemas/{KEY_SCHEMA}").get_json()
    assert listed == shown
    assert shown["id"] == KEY_SCHEMA
    assert operator.get("/schemas/urn:other").status_code == 404


def test_times_of_a_key_are_dates(scene: Directory, operator: Client) -> None:
    for each in every(operator):
        for name in ("createdAt", "claimedAt", "expiresAt", "lastUsedAt", "revokedAt"):
            assert each[name] is None or datetime.fromisoformat(each[name]).tzinfo is not None


def _conditional(operator: Client, method: str, path: str, **headers: str) -> Any:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return operator.flask.open(
        f"/operator/v1{path}", method=method, headers={"Authorization": f"Bearer {operator.token}", **named}
    )
