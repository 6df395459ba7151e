from __future__ import annotations

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Engine


def test_an_error_does_not_repeat_what_was_to_be_stored(engine: Engine) -> None:
    with engine.connect() as connection, pytest.raises(sa.exc.DBAPIError) as error:
        connection.execute(sa.text("INSERT INTO nowhere VALUES (:value)"), {"value": "a-secret"})
    assert "a-secret" not in str(error.value)
