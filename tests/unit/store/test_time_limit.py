"""A statement that takes too long is given up, and whoever has the connection next notices nothing of it."""

from __future__ import annotations

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Engine

from app.store.time_limit import TookTooLong, time_limit

LONG = 60
"""A limit that no statement here reaches."""

SHORT = 0.05


def counting(number: int) -> sa.TextClause:
    return sa.text(
        "WITH RECURSIVE numbers(number) AS "
        "(SELECT 1 UNION ALL SELECT number + 1 FROM numbers WHERE number < :most) "
        "SELECT count(*) FROM numbers"
    ).bindparams(most=number)


ENDLESS = counting(2_000_000_000)
QUICK = counting(10)


def given_up(engine: Engine) -> None:
    with engine.begin() as connection, time_limit(connection, SHORT):
        connection.execute(ENDLESS)


def test_a_statement_is_given_up_and_one_in_time_is_not(engine: Engine) -> None:
    with engine.begin() as connection, time_limit(connection, LONG):
        assert connection.execute(QUICK).scalar_one() == 10
    with pytest.raises(TookTooLong):
        given_up(engine)


def test_the_connection_serves_the_next_and_without_a_limit(engine: Engine) -> None:
    for _ in range(3):
        with pytest.raises(TookTooLong):
            given_up(engine)
    with engine.begin() as connection:
        # One that is given up for a limit of before would be given up here: it takes several times as long.
        assert connection.execute(counting(2_000_000)).scalar_one() == 2_000_000
    pool = engine.pool
    assert isinstance(pool, sa.pool.QueuePool)
    assert pool.checkedout() == 0
    # It was one connection all the time: none was thrown away for a new one.
    assert pool.checkedin() == 1


def test_nothing_of_a_transaction_that_was_given_up_is_kept(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(sa.text("CREATE TABLE kept (value INTEGER)"))
    options = engine.execution_options(writing=True)

    def fill_and_go_on_for_ever() -> None:
        with options.begin() as connection:
            connection.execute(sa.text("INSERT INTO kept VALUES (1)"))
            with time_limit(connection, SHORT):
                connection.execute(ENDLESS)

    with pytest.raises(TookTooLong):
        fill_and_go_on_for_ever()
    with options.begin() as connection:
        assert connection.execute(sa.text("SELECT count(*) FROM kept")).scalar_one() == 0
        connection.execute(sa.text("INSERT INTO kept VALUES (2)"))


def test_a_savepoint_around_the_block_lets_the_transaction_go_on(engine: Engine) -> None:
    with engine.begin() as connection:
        with pytest.raises(TookTooLong), connection.begin_nested(), time_limit(connection, SHORT):
            connection.execute(ENDLESS)
        assert connection.execute(QUICK).scalar_one() == 10


def test_other_failures_stay_what_they_are(engine: Engine) -> None:
    with (
        pytest.raises(sa.exc.DBAPIError) as failed,
        engine.begin() as connection,
        time_limit(connection, LONG),
    ):
        connection.execute(sa.text("SELECT value FROM nowhere"))
    assert "nowhere" in str(failed.value)
