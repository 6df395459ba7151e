"""The first tables, and the triggers that keep events as they were written.

Revision ID: 0001
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None

# Written out here, not taken from the tables of today, so that this step stays what it was.
Text = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
Json = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
Serial = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    _create_tables()
    if op.get_bind().dialect.name == "postgresql":
        _keep_events_on_postgresql()
    else:
        _keep_events_on_sqlite()


def _keep_events_on_sqlite() -> None:
    for operation in ("UPDATE", "DELETE"):
        op.execute(
            f"CREATE TRIGGER event_refuses_{operation.lower()} BEFORE {operation} ON event "
            "BEGIN SELECT RAISE(ABORT, 'events are append-only'); END"
        )
    # INSERT OR REPLACE deletes the row in its way without asking the trigger above.
    op.execute(
        "CREATE TRIGGER event_refuses_replace BEFORE INSERT ON event "
        "WHEN EXISTS (SELECT 1 FROM event WHERE sequence = NEW.sequence OR id = NEW.id) "
        "BEGIN SELECT RAISE(ABORT, 'events are append-only'); END"
    )


def _keep_events_on_postgresql() -> None:
    op.execute(
        "CREATE FUNCTION event_refuses_change() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION 'events are append-only'; END $$"
    )
    op.execute(
        "CREATE TRIGGER event_refuses_change BEFORE UPDATE OR DELETE OR TRUNCATE ON event "
        "FOR EACH STATEMENT EXECUTE FUNCTION event_refuses_change()"
    )
    # ALWAYS: in a session that replays changes of another server (session_replication_role) as well.
    op.execute("ALTER TABLE event ENABLE ALWAYS TRIGGER event_refuses_change")


def _create_tables() -> None:
    op.create_table(
        "tenant",
        sa.Column("id", Text, nullable=False),
        sa.Column("name", Text, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("recovery_window", sa.BigInteger, nullable=False),
        sa.Column("unmatched_values", Text, nullable=False),
        sa.Column("last_write_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_tenant"),
        sa.UniqueConstraint("name", name="uq_tenant_name"),
    )
    op.create_table(
        "connection",
        sa.Column("id", Text, nullable=False),
        sa.Column("tenant_id", Text, nullable=False),
        sa.Column("name", Text, nullable=False),
        sa.Column("dialect", Text, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("disabled_at", sa.BigInteger),
        sa.PrimaryKeyConstraint("id", name="pk_connection"),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenant.id"], name="fk_connection_tenant_id"),
        sa.UniqueConstraint("tenant_id", "name", name="uq_connection_tenant_id_name"),
    )
    op.create_table(
        "consumer",
        sa.Column("id", Text, nullable=False),
        sa.Column("tenant_id", Text, nullable=False),
        sa.Column("user_name", Text, nullable=False),
        sa.Column("active", sa.Boolean, nullable=False),
        sa.Column("access_starts_at", sa.BigInteger),
        sa.Column("access_ends_at", sa.BigInteger),
        sa.Column("deleted_at", sa.BigInteger),
        sa.PrimaryKeyConstraint("id", name="pk_consumer"),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenant.id"], name="fk_consumer_tenant_id"),
    )
    op.create_table(
        "entitlement",
        sa.Column("id", Text, nullable=False),
        sa.Column("tenant_id", Text, nullable=False),
        sa.Column("value", Text, nullable=False),
        sa.Column("audience", Text),
        sa.Column("scopes", Json, nullable=False),
        sa.Column("conditions", Json, nullable=False),
        sa.Column("issuance", Text, nullable=False),
        sa.Column("key_lifetime", sa.BigInteger),
        sa.PrimaryKeyConstraint("id", name="pk_entitlement"),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenant.id"], name="fk_entitlement_tenant_id"),
    )
    op.create_table(
        "event",
        sa.Column("sequence", Serial, autoincrement=True, nullable=False),
        sa.Column("id", Text, nullable=False),
        sa.Column("tenant_id", Text, nullable=False),
        sa.Column("time", sa.BigInteger, nullable=False),
        sa.Column("type", Text, nullable=False),
        sa.Column("actor", Text, nullable=False),
        sa.Column("txn", Text, nullable=False),
        sa.Column("subject", Text, nullable=False),
        sa.Column("data", Json, nullable=False),
        sa.PrimaryKeyConstraint("sequence", name="pk_event"),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenant.id"], name="fk_event_tenant_id"),
        sa.UniqueConstraint("id", name="uq_event_id"),
    )
    op.create_index("ix_event_subject", "event", ["tenant_id", "subject", "sequence"])
    op.create_index("ix_event_timeline", "event", ["tenant_id", "sequence"])
    op.create_table(
        "mapping",
        sa.Column("id", Serial, autoincrement=True, nullable=False),
        sa.Column("tenant_id", Text, nullable=False),
        sa.Column("entitlement_id", Text, nullable=False),
        sa.Column("kind", Text, nullable=False),
        sa.Column("value", Text, nullable=False),
        sa.Column("since", sa.BigInteger, nullable=False),
        sa.Column("until", sa.BigInteger, nullable=False),
        sa.Column("tolerance", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_mapping"),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenant.id"], name="fk_mapping_tenant_id"),
    )
    op.create_index("ix_mapping_entitlement", "mapping", ["entitlement_id"])
    op.create_index("ix_mapping_value", "mapping", ["tenant_id", "kind", "value", "until"])
    op.create_table(
        "membership",
        sa.Column("id", Serial, autoincrement=True, nullable=False),
        sa.Column("tenant_id", Text, nullable=False),
        sa.Column("group_id", Text, nullable=False),
        sa.Column("member_id", Text, nullable=False),
        sa.Column("member_type", Text, nullable=False),
        sa.Column("display", Text),
        sa.Column("since", sa.BigInteger, nullable=False),
        sa.Column("until", sa.BigInteger, nullable=False),
        sa.Column("tolerance", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_membership"),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenant.id"], name="fk_membership_tenant_id"),
    )
    op.create_index("ix_membership_group", "membership", ["group_id", "until", "member_id"])
    op.create_index("ix_membership_member", "membership", ["member_id", "until", "group_id"])
    op.create_table(
        "resource",
        sa.Column("id", Text, nullable=False),
        sa.Column("tenant_id", Text, nullable=False),
        sa.Column("type", Text, nullable=False),
        sa.Column("document", Json, nullable=False),
        sa.Column("comparable", Json, nullable=False),
        sa.Column("revision", sa.BigInteger, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("modified_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_resource"),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenant.id"], name="fk_resource_tenant_id"),
    )
    op.create_index("ix_resource_listing", "resource", ["tenant_id", "type", "created_at", "id"])
    op.create_table(
        "activity",
        sa.Column("id", Serial, autoincrement=True, nullable=False),
        sa.Column("tenant_id", Text, nullable=False),
        sa.Column("consumer_id", Text, nullable=False),
        sa.Column("since", sa.BigInteger, nullable=False),
        sa.Column("until", sa.BigInteger, nullable=False),
        sa.Column("tolerance", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_activity"),
        sa.ForeignKeyConstraint(["consumer_id"], ["consumer.id"], name="fk_activity_consumer_id"),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenant.id"], name="fk_activity_tenant_id"),
    )
    op.create_index("ix_activity_consumer_id", "activity", ["consumer_id"])
    op.create_table(
        "attribute_value",
        sa.Column("tenant_id", Text, nullable=False),
        sa.Column("attribute", Text, nullable=False),
        sa.Column("value", Text, nullable=False),
        sa.Column("resource_id", Text, nullable=False),
        sa.Column("is_unique", sa.Boolean, nullable=False),
        sa.ForeignKeyConstraint(
            ["resource_id"], ["resource.id"], name="fk_attribute_value_resource_id", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenant.id"], name="fk_attribute_value_tenant_id"),
    )
    op.create_index("ix_attribute_value_match", "attribute_value", ["tenant_id", "attribute", "value"])
    op.create_index("ix_attribute_value_resource_id", "attribute_value", ["resource_id"])
    op.create_index(
        "uq_attribute_value_unique",
        "attribute_value",
        ["tenant_id", "attribute", "value"],
        unique=True,
        sqlite_where=sa.text("is_unique"),
        postgresql_where=sa.text("is_unique"),
    )
    op.create_table(
        "credential",
        sa.Column("id", Text, nullable=False),
        sa.Column("tenant_id", Text, nullable=False),
        sa.Column("connection_id", Text),
        sa.Column("label", Text, nullable=False),
        sa.Column("scopes", Text, nullable=False),
        sa.Column("digest", sa.LargeBinary, nullable=False),
        sa.Column("pepper", sa.Integer, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("expires_at", sa.BigInteger, nullable=False),
        sa.Column("last_used_at", sa.BigInteger),
        sa.Column("revoked_at", sa.BigInteger),
        sa.PrimaryKeyConstraint("id", name="pk_credential"),
        sa.ForeignKeyConstraint(["connection_id"], ["connection.id"], name="fk_credential_connection_id"),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenant.id"], name="fk_credential_tenant_id"),
        sa.UniqueConstraint("digest", name="uq_credential_digest"),
    )
    op.create_index("ix_credential_connection_id", "credential", ["connection_id"])
    op.create_table(
        "direct_value",
        sa.Column("id", Serial, autoincrement=True, nullable=False),
        sa.Column("tenant_id", Text, nullable=False),
        sa.Column("consumer_id", Text, nullable=False),
        sa.Column("kind", Text, nullable=False),
        sa.Column("value", Text, nullable=False),
        sa.Column("since", sa.BigInteger, nullable=False),
        sa.Column("until", sa.BigInteger, nullable=False),
        sa.Column("tolerance", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_direct_value"),
        sa.ForeignKeyConstraint(["consumer_id"], ["consumer.id"], name="fk_direct_value_consumer_id"),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenant.id"], name="fk_direct_value_tenant_id"),
    )
    op.create_index("ix_direct_value_consumer_id", "direct_value", ["consumer_id"])
    op.create_index("ix_direct_value_match", "direct_value", ["tenant_id", "kind", "value"])
    op.create_table(
        "key",
        sa.Column("id", Text, nullable=False),
        sa.Column("tenant_id", Text, nullable=False),
        sa.Column("consumer_id", Text, nullable=False),
        sa.Column("issued_at", sa.BigInteger, nullable=False),
        sa.Column("claimed_at", sa.BigInteger),
        sa.Column("expires_at", sa.BigInteger),
        sa.Column("revoked_at", sa.BigInteger),
        sa.Column("revoked_reason", Text),
        sa.PrimaryKeyConstraint("id", name="pk_key"),
        sa.ForeignKeyConstraint(["consumer_id"], ["consumer.id"], name="fk_key_consumer_id"),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenant.id"], name="fk_key_tenant_id"),
    )
    op.create_index("ix_key_consumer_id", "key", ["consumer_id"])
    op.create_index("ix_key_listing", "key", ["tenant_id", "issued_at", "id"])
    op.create_table(
        "key_entitlement",
        sa.Column("key_id", Text, nullable=False),
        sa.Column("entitlement_id", Text, nullable=False),
        sa.PrimaryKeyConstraint("key_id", "entitlement_id", name="pk_key_entitlement"),
        sa.ForeignKeyConstraint(["key_id"], ["key.id"], name="fk_key_entitlement_key_id"),
    )
    op.create_index("ix_key_entitlement_entitlement", "key_entitlement", ["entitlement_id"])
    op.create_table(
        "secret",
        sa.Column("id", Text, nullable=False),
        sa.Column("tenant_id", Text, nullable=False),
        sa.Column("key_id", Text, nullable=False),
        sa.Column("digest", sa.LargeBinary, nullable=False),
        sa.Column("pepper", sa.Integer, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("ends_at", sa.BigInteger),
        sa.PrimaryKeyConstraint("id", name="pk_secret"),
        sa.ForeignKeyConstraint(["key_id"], ["key.id"], name="fk_secret_key_id"),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenant.id"], name="fk_secret_tenant_id"),
    )
    op.create_index("ix_secret_key_id", "secret", ["key_id"])
