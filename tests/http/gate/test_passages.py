"""What the gate keeps of a gateway and a key ends with the time that was known when it was looked up.

No commit comes between, so nothing but the clock tells.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from app import AFTERWARDS, VERIFY
from app.access.credentials import issue_credential
from app.gate.verification import Gate
from app.store.tables import credential
from tests.http.conftest import CONSUMER, Key, Tenant
from tests.http.gate.faces import ASKED, Asking, Clock, held, microseconds

NOW = datetime.now(UTC).replace(microsecond=0) + timedelta(days=1)
SECOND = timedelta(seconds=1)


@dataclass
class Kept:
    """Asks by the hot door, and counts how often a gateway and a key were judged for it."""

    asking: Asking
    clock: Clock
    judged: int = 0

    def at(self, moment: datetime, key: Key) -> str:
        """Return the answer at a moment; what it leaves to be written is written then."""
        self.clock(moment)
        try:
            return self.asking.word(key, ASKED)
        finally:
            self.asking.tenant.flask.extensions[AFTERWARDS].settle()

    def keep(self, moment: datetime, key: Key) -> None:
        """Ask until nothing is left to be written, and nothing but the call is judged."""
        for _ in range(3):
            before = self.judged
            assert self.at(moment, key) == "allow"
        assert self.judged == before, "nothing is kept"

    def still(self, moment: datetime, key: Key) -> str:
        """Return the answer at a moment until which what is kept must do."""
        before = self.judged
        word = self.at(moment, key)
        assert self.judged == before
        return word


@pytest.fixture
def kept(by_face: Callable[[str], Asking], clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Kept:
    asking = by_face("door")
    if asking.tenant.flask.extensions[VERIFY]._gate._current._reads.version() is None:
        pytest.skip("nothing is kept with PostgreSQL")

    def show(moment: datetime) -> None:
        clock(moment)
        monkeypatch.setattr("app.access.last_use.wall_clock", lambda: microseconds(moment))

    made = Kept(asking, show)
    show(NOW)
    admitted = Gate._admitted

    def counted(self: Gate, *arguments: Any) -> Any:
        made.judged += 1
        return admitted(self, *arguments)

    monkeypatch.setattr(Gate, "_admitted", counted)
    return made


def test_a_gateway_whose_token_ends(kept: Kept) -> None:
    tenant = kept.asking.tenant
    key = held(tenant)
    with tenant.store.writing(tenant.id, actor="test") as unit:
        _, token = issue_credential(unit, tenant.peppers, label="brief", scopes=["gate"], lifetime=30)
    gate = replace(tenant.gate, headers={"X-Gate-Authorization": f"Bearer {token}"})
    kept.asking = replace(kept.asking, tenant=replace(tenant, gate=gate))
    kept.keep(NOW + SECOND, key)
    assert kept.still(NOW + 29 * SECOND, key) == "allow"
    # What is answered then is of no tenant, and not recorded.
    with pytest.raises(KeyError):
        kept.at(NOW + 31 * SECOND, key)


def test_access_that_ends(kept: Kept) -> None:
    key = held(kept.asking.tenant)
    bound(kept.asking.tenant, "accessEndsAt", NOW + 30 * SECOND)
    kept.keep(NOW + SECOND, key)
    assert kept.still(NOW + 29 * SECOND, key) == "allow"
    assert kept.at(NOW + 30 * SECOND, key) == "access_ended"


def test_a_clock_that_is_set_back_before_the_first_day(kept: Kept) -> None:
    key = held(kept.asking.tenant)
    first_day = NOW + 20 * SECOND
    bound(kept.asking.tenant, "accessStartsAt", first_day)
    assert kept.at(NOW + SECOND, key) == "access_not_started"
    kept.keep(first_day, key)
    assert kept.at(first_day - SECOND, key) == "access_not_started"
    assert kept.still(first_day, key) == "allow"


def test_a_clock_that_is_set_back_before_a_write_that_left_the_key_as_it_was(kept: Kept) -> None:
    tenant = kept.asking.tenant
    key = held(tenant)
    bound(tenant, "accessEndsAt", NOW + 30 * SECOND)
    kept.keep(NOW + SECOND, key)
    kept.clock(NOW + 40 * SECOND)
    tenant.user("bob")
    # No reader takes a moment before the last write.
    assert kept.at(NOW + 2 * SECOND, key) == "access_ended"


def test_the_use_of_a_gateway_is_noted_each_minute(kept: Kept) -> None:
    tenant = kept.asking.tenant
    key = held(tenant)
    kept.keep(NOW, key)
    noted = []
    for later in (59, 60, 119, 121):
        assert kept.at(NOW + later * SECOND, key) == "allow"
        noted.append(last_use(tenant) == microseconds(NOW + later * SECOND))
    assert noted == [False, True, False, True]


def bound(tenant: Tenant, attribute: str, moment: datetime) -> None:
    """Let the access of the only consumer start or end at a moment."""
    (key,) = tenant.keys()
    value = moment.isoformat().replace("+00:00", "Z")
    changed = {"op": "replace", "path": f"{CONSUMER}:{attribute}", "value": value}
    assert tenant.scim.patch(f"/Users/{key['consumer']['value']}", changed).status_code == 200


def last_use(tenant: Tenant) -> int:
    of_gate = sa.and_(credential.c.tenant_id == tenant.id, credential.c.label == "gate")
    (row,) = tenant.sql(sa.select(credential.c.last_used_at).where(of_gate))
    used: int = row.last_used_at
    return used
