from __future__ import annotations

import threading
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy.engine import Engine

from app.ledger.events import Event, record
from app.store.engine import create_engine
from app.store.limit_use import limit_use
from app.store.tables import event, metadata, tenant
from app.store.unit_of_work import Store
from app.store.upgrading import DatabaseNewer, upgrade


@pytest.fixture
def store(engine: Engine) -> Store:
    """Return a store with a tenant "t" and one event."""
    upgrade(engine)
    store = Store(engine)
    settings = {"created_at": 1, "last_write_at": 1, "recovery_window": 0, "unmatched_values": "keep"}
    with engine.execution_options(writing=True).begin() as connection:
        connection.execute(sa.insert(tenant).values(id="t", name="t", **settings))
    with store.writing("t", actor="system") as unit:
        record(unit, [Event("thing.happened", "thing/1", {"how": "well"})])
    return store


def on_postgresql(engine: Engine) -> bool:
    """Return whether the counters of limits are in the database too."""
    return engine.dialect.name == "postgresql"


def events(store: Store) -> list[Any]:
    with store.engine.begin() as connection:
        return [tuple(row) for row in connection.execute(sa.select(event).order_by(event.c.sequence))]


def described(engine: Engine) -> dict[str, Any]:
    """Return all that the database says of its tables, but for Alembic's own."""
    inspector = sa.inspect(engine)
    return {
        name: {
            "columns": {
                column["name"]: (
                    column["type"].compile(engine.dialect),
                    getattr(column["type"], "collation", None),
                    column["nullable"],
                    column["default"],
                )
                for column in inspector.get_columns(name)
            },
            "primary key": inspector.get_pk_constraint(name),
            "foreign keys": sorted(inspector.get_foreign_keys(name), key=str),
            "unique": sorted(inspector.get_unique_constraints(name), key=str),
            "indexes": sorted(
                (
                    index["name"],
                    index["column_names"],
                    bool(index["unique"]),
                    {option: str(value) for option, value in index.get("dialect_options", {}).items()},
                )
                for index in inspector.get_indexes(name)
            ),
        }
        for name in inspector.get_table_names()
        if name != "alembic_version"
    }


def test_the_migrations_make_the_tables(engine: Engine) -> None:
    upgrade(engine)
    with engine.begin() as connection:
        tables = [metadata, limit_use.metadata] if on_postgresql(engine) else [metadata]
        assert compare_metadata(MigrationContext.configure(connection), tables) == []


def test_the_migrated_database_is_as_one_made_from_the_tables(engine: Engine) -> None:
    metadata.create_all(engine)
    if on_postgresql(engine):
        limit_use.create(engine)
    made = described(engine)
    metadata.drop_all(engine)
    limit_use.drop(engine, checkfirst=True)
    upgrade(engine)
    assert described(engine) == made


def test_a_second_upgrade_changes_nothing(store: Store) -> None:
    before = events(store)
    upgrade(store.engine)
    assert events(store) == before != []


def test_processes_that_upgrade_at_once_all_succeed(database_url: str) -> None:
    engines = [create_engine(database_url) for _ in range(8)]
    failures: list[BaseException] = []
    together = threading.Barrier(len(engines))

    def start(engine: Engine) -> None:
        together.wait()
        try:
            upgrade(engine)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=start, args=(engine,)) for engine in engines]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    counters = {limit_use.name} if on_postgresql(engines[0]) else set()
    assert set(described(engines[0])) == set(metadata.tables) | counters
    for engine in engines:
        engine.dispose()


def test_a_database_of_a_newer_version_is_refused_and_left_alone(store: Store) -> None:
    with store.engine.execution_options(writing=True).begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(DatabaseNewer, match="version 9999"):
        upgrade(store.engine)
    with store.engine.begin() as connection:
        assert MigrationContext.configure(connection).get_current_heads() == ("9999",)


@pytest.mark.parametrize(
    "change",
    [
        sa.update(event).values(type="thing.else"),
        sa.update(event).values(sequence=event.c.sequence + 100),
        sa.delete(event),
    ],
    ids=["update", "renumber", "delete"],
)
def test_the_database_refuses_to_change_events(store: Store, change: sa.Executable) -> None:
    before = events(store)
    with (
        pytest.raises(sa.exc.DBAPIError, match="events are append-only"),
        store.engine.execution_options(writing=True).begin() as connection,
    ):
        connection.execute(change)
    assert events(store) == before != []


@pytest.mark.parametrize("same", ["sequence", "id"])
def test_an_event_cannot_be_replaced_by_an_insert(store: Store, same: str) -> None:
    before = events(store)
    columns = {column.name: value for column, value in zip(event.c, before[0], strict=True)}
    others = {"sequence": before[0][0] + 1, "id": "other", "type": "thing.else"}
    changed = columns | others | {same: columns[same]}
    insert = "INSERT OR REPLACE" if store.engine.dialect.name == "sqlite" else "INSERT"
    conflict = "" if insert != "INSERT" else f"ON CONFLICT ({same}) DO UPDATE SET type = 'thing.else'"
    values = ", ".join(f":{name}" for name in changed)
    statement = sa.text(f"{insert} INTO event ({', '.join(changed)}) VALUES ({values}) {conflict}")
    changed["data"] = "{}"
    with (
        pytest.raises(sa.exc.DBAPIError, match="events are append-only"),
        store.engine.execution_options(writing=True).begin() as connection,
    ):
        connection.execute(statement, changed)
    assert events(store) == before


def test_postgresql_refuses_to_truncate_and_to_replay_over_events(store: Store) -> None:
    if store.engine.dialect.name != "postgresql":
        pytest.skip("SQLite has neither")
    before = events(store)
    for statement in ("TRUNCATE event", "SET session_replication_role = replica; DELETE FROM event"):
        with (
            pytest.raises(sa.exc.DBAPIError, match="events are append-only"),
            store.engine.begin() as connection,
        ):
            connection.exec_driver_sql(statement)
    assert events(store) == before
