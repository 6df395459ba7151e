"""The tables, as SQLAlchemy Core sees them.

Times are whole microseconds since 1970 (UTC). A thing that carries a right (an activity, a membership, a
direct value, a mapping) is a *carrier*: a row that holds from ``since`` (inclusive) until ``until``
(exclusive). A carrier that still holds has ``until = FOREVER``. Carriers are ended, never deleted, because
a right's continuity is judged on their history. ``tolerance`` is the tenant's recovery window at the moment
the carrier began: how long a gap before it may have been without breaking the continuity of a right.
"""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

FOREVER: Final = 2**62
"""The ``until`` of a carrier that still holds."""

metadata = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)

Json = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
# PostgreSQL compares text by the database's collation unless told otherwise; SCIM orders by code point.
Text = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
Time = sa.BigInteger
# SQLite numbers rows by itself only where the column is INTEGER.
Serial = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _tenant() -> sa.Column[str]:
    return sa.Column("tenant_id", Text, sa.ForeignKey("tenant.id"), nullable=False)


def _carrier() -> list[sa.Column[int]]:
    return [
        sa.Column("since", Time, nullable=False),
        sa.Column("until", Time, nullable=False, default=FOREVER),
        sa.Column("tolerance", Time, nullable=False),
    ]


tenant = sa.Table(
    "tenant",
    metadata,
    sa.Column("id", Text, primary_key=True),
    sa.Column("name", Text, nullable=False, unique=True),
    sa.Column("created_at", Time, nullable=False),
    # Microseconds within which a consumer who comes back keeps a working key; 0: deactivation kills for good.
    sa.Column("recovery_window", Time, nullable=False),
    # What a value on a user that names no known entitlement gets: "keep" it, inert, or "refuse" the request.
    sa.Column("unmatched_values", Text, nullable=False),
    # What the keys of a service user do while its sponsor is away: "suspend" or "keep".
    sa.Column("sponsor_policy", Text, nullable=False, server_default=sa.text("'suspend'")),
    # Every write takes the next moment here, which also makes the writes of a tenant follow one another.
    sa.Column("last_write_at", Time, nullable=False),
)

connection = sa.Table(
    "connection",
    metadata,
    sa.Column("id", Text, primary_key=True),
    _tenant(),
    sa.Column("name", Text, nullable=False),
    sa.Column("dialect", Text, nullable=False),
    sa.Column("created_at", Time, nullable=False),
    sa.Column("disabled_at", Time),
    # When its client last called, roughly, and for how long it is usually quiet, in microseconds.
    sa.Column("last_call_at", Time),
    sa.Column("usual_cycle", Time),
    # Its brake: from how many per cent of the active consumers on, 0 for none, and how many at the least,
    # withdrawn within how many microseconds.
    sa.Column("brake_percent", sa.Integer, nullable=False, server_default=sa.text("10")),
    sa.Column("brake_minimum", sa.Integer, nullable=False, server_default=sa.text("20")),
    sa.Column("brake_span", Time, nullable=False, server_default=sa.text("3600000000")),
    sa.UniqueConstraint("tenant_id", "name"),
)

oauth_client = sa.Table(
    "oauth_client",
    metadata,
    sa.Column("id", Text, primary_key=True),
    _tenant(),
    sa.Column("connection_id", Text, sa.ForeignKey("connection.id"), nullable=False, index=True),
    sa.Column("name", Text, nullable=False),
    # What its assertions are for: tokens, or revocation.
    sa.Column("purpose", Text, nullable=False, server_default=sa.text("'tokens'")),
    # Who vouches for it, as whom, to whom; null for one that signs with keys of its own.
    sa.Column("issuer", Text),
    sa.Column("subject", Text),
    sa.Column("audience", Text),
    # Its public keys, or where they are.
    sa.Column("keys", Json),
    sa.Column("keys_url", Text),
    sa.Column("created_at", Time, nullable=False),
    sa.Column("removed_at", Time),
)

used_assertion = sa.Table(
    "used_assertion",
    metadata,
    sa.Column("client_id", Text, sa.ForeignKey("oauth_client.id"), primary_key=True),
    _tenant(),
    sa.Column("jti", Text, primary_key=True),
    sa.Column("expires_at", Time, nullable=False),
)

connection_deviation = sa.Table(
    "connection_deviation",
    metadata,
    sa.Column("connection_id", Text, sa.ForeignKey("connection.id"), primary_key=True),
    _tenant(),
    # The name of a class of deviations that the connection's dialect tolerates.
    sa.Column("deviation", Text, primary_key=True),
    # In how many requests that were accepted it occurred.
    sa.Column("requests", sa.BigInteger, nullable=False),
    sa.Column("first_at", Time, nullable=False),
    sa.Column("last_at", Time, nullable=False),
)

brake = sa.Table(
    "brake",
    metadata,
    sa.Column("id", Text, primary_key=True),
    _tenant(),
    sa.Column("connection_id", Text, sa.ForeignKey("connection.id"), nullable=False),
    sa.Column("engaged_at", Time, nullable=False),
    # How many consumers were active, and how many of them withdrawn were too many.
    sa.Column("active", sa.BigInteger, nullable=False),
    sa.Column("threshold", sa.BigInteger, nullable=False),
    # Whether some of them were not counted yet, so that the count may show that there were not too many.
    sa.Column("estimated", sa.Boolean, nullable=False),
    # Until when a gap that a withdrawal of it began is no final one, however long: FOREVER until decided.
    sa.Column("holds_until", Time, nullable=False),
    # "confirmed", "released", or "lifted" when a count showed that there were not too many; null: it waits.
    sa.Column("decision", Text),
    sa.Column("decided_at", Time),
    sa.Index("ix_brake_listing", "tenant_id", "engaged_at"),
    sa.Index(
        "uq_brake_waiting",
        "connection_id",
        unique=True,
        sqlite_where=sa.text("decision IS NULL"),
        postgresql_where=sa.text("decision IS NULL"),
    ),
)

withdrawal = sa.Table(
    "withdrawal",
    metadata,
    # The moments of a tenant's writes differ, so a moment names the write that took something away.
    sa.Column("tenant_id", Text, sa.ForeignKey("tenant.id"), primary_key=True),
    sa.Column("moment", Time, primary_key=True),
    sa.Column("connection_id", Text, sa.ForeignKey("connection.id"), nullable=False),
    # How many consumers it took the last from, and of how many a follow-up has yet to see whether it did.
    sa.Column("people", sa.BigInteger, nullable=False, default=0),
    sa.Column("uncounted", sa.BigInteger, nullable=False, default=0),
    # How many consumers were active, where they were counted.
    sa.Column("active", sa.BigInteger),
    sa.Column("brake_id", Text, sa.ForeignKey("brake.id"), index=True),
    sa.Index("ix_withdrawal_connection", "connection_id", "moment"),
    sa.Index(
        "ix_withdrawal_unbraked",
        "connection_id",
        "moment",
        sqlite_where=sa.text("brake_id IS NULL"),
        postgresql_where=sa.text("brake_id IS NULL"),
    ),
)

withdrawn_consumer = sa.Table(
    "withdrawn_consumer",
    metadata,
    # Whom a withdrawal took the last from.
    sa.Column("tenant_id", Text, sa.ForeignKey("tenant.id"), primary_key=True),
    sa.Column("moment", Time, primary_key=True),
    sa.Column("consumer_id", Text, sa.ForeignKey("consumer.id"), primary_key=True),
)

asynchronous_request = sa.Table(
    "asynchronous_request",
    metadata,
    # The transaction that the request will be, by which its client asks for the result.
    sa.Column("txn", Text, primary_key=True),
    _tenant(),
    sa.Column("connection_id", Text, sa.ForeignKey("connection.id"), nullable=False),
    sa.Column("accepted_at", Time, nullable=False),
    sa.Column("method", Text, nullable=False),
    # The root of the URLs in its result, and what follows it in its own.
    sa.Column("base_url", Text, nullable=False),
    sa.Column("path", Text, nullable=False),
    sa.Column("query", Json, nullable=False),
    sa.Column("headers", Json, nullable=False),
    # It may hold a password, so it goes when the request is done.
    sa.Column("body", sa.LargeBinary),
    # Null as long as the request is not carried out; the result comes with it.
    sa.Column("done_at", Time),
    sa.Column("result", Json),
    sa.Index(
        "ix_asynchronous_request_pending",
        "tenant_id",
        "accepted_at",
        sqlite_where=sa.text("done_at IS NULL"),
        postgresql_where=sa.text("done_at IS NULL"),
    ),
    sa.Index("ix_asynchronous_request_done", "done_at"),
)

credential = sa.Table(
    "credential",
    metadata,
    sa.Column("id", Text, primary_key=True),
    _tenant(),
    sa.Column("connection_id", Text, sa.ForeignKey("connection.id"), index=True),
    sa.Column("label", Text, nullable=False),
    # Space-separated, of: scim operator gate audit.
    sa.Column("scopes", Text, nullable=False),
    sa.Column("digest", sa.LargeBinary, nullable=False, unique=True),
    sa.Column("pepper", sa.Integer, nullable=False),
    sa.Column("created_at", Time, nullable=False),
    sa.Column("expires_at", Time, nullable=False),
    sa.Column("last_used_at", Time),
    sa.Column("revoked_at", Time),
    # The OAuth client that it was issued to, and which gets another one when it has ended.
    sa.Column("client_id", Text, index=True),
)

resource = sa.Table(
    "resource",
    metadata,
    sa.Column("id", Text, primary_key=True),
    _tenant(),
    # The name of the SCIM resource type: User, Group, Entitlement, …
    sa.Column("type", Text, nullable=False),
    # The resource as the client sees it, without id, meta and what other tables hold (members, groups).
    sa.Column("document", Json, nullable=False),
    # The same in the form that filters and sorting compare: lower-case names, prepared strings, numbers.
    sa.Column("comparable", Json, nullable=False),
    sa.Column("revision", sa.BigInteger, nullable=False),
    sa.Column("created_at", Time, nullable=False),
    sa.Column("modified_at", Time, nullable=False),
    sa.Index("ix_resource_listing", "tenant_id", "type", "created_at", "id"),
)

attribute_value = sa.Table(
    "attribute_value",
    metadata,
    _tenant(),
    # The URN of the attribute in lower case, such as "urn:…:core:2.0:user:username".
    sa.Column("attribute", Text, nullable=False),
    sa.Column("value", Text, nullable=False),
    sa.Column(
        "resource_id", Text, sa.ForeignKey("resource.id", ondelete="CASCADE"), nullable=False, index=True
    ),
    sa.Column("is_unique", sa.Boolean, nullable=False),
    sa.Index("ix_attribute_value_match", "tenant_id", "attribute", "value"),
    sa.Index(
        "uq_attribute_value_unique",
        "tenant_id",
        "attribute",
        "value",
        unique=True,
        sqlite_where=sa.text("is_unique"),
        postgresql_where=sa.text("is_unique"),
    ),
)

consumer = sa.Table(
    "consumer",
    metadata,
    # The id of the user. The row outlives the user, so that its keys can still say whose they were.
    sa.Column("id", Text, primary_key=True),
    _tenant(),
    sa.Column("user_name", Text, nullable=False),
    sa.Column("active", sa.Boolean, nullable=False),
    sa.Column("access_starts_at", Time),
    sa.Column("access_ends_at", Time),
    sa.Column("deleted_at", Time),
    # The id of the user that answers for a service user, as it was said: there may be none of that id.
    sa.Column("sponsor_id", Text, index=True),
)

activity = sa.Table(
    "activity",
    metadata,
    sa.Column("id", Serial, primary_key=True, autoincrement=True),
    _tenant(),
    sa.Column("consumer_id", Text, sa.ForeignKey("consumer.id"), nullable=False, index=True),
    # Without whose own activity it counts for nothing: the sponsor of a service user, where they suspend.
    sa.Column("sponsor_id", Text),
    *_carrier(),
)

direct_value = sa.Table(
    "direct_value",
    metadata,
    sa.Column("id", Serial, primary_key=True, autoincrement=True),
    _tenant(),
    sa.Column("consumer_id", Text, sa.ForeignKey("consumer.id"), nullable=False, index=True),
    # "direct" for a value of User.entitlements, "role" for one of User.roles.
    sa.Column("kind", Text, nullable=False),
    sa.Column("value", Text, nullable=False),
    *_carrier(),
    sa.Index("ix_direct_value_match", "tenant_id", "kind", "value"),
)

membership = sa.Table(
    "membership",
    metadata,
    sa.Column("id", Serial, primary_key=True, autoincrement=True),
    _tenant(),
    sa.Column("group_id", Text, nullable=False),
    sa.Column("member_id", Text, nullable=False),
    # "User" or "Group".
    sa.Column("member_type", Text, nullable=False),
    sa.Column("display", Text),
    *_carrier(),
    sa.Index("ix_membership_member", "member_id", "until", "group_id"),
    sa.Index("ix_membership_group", "group_id", "until", "member_id"),
)

mapping = sa.Table(
    "mapping",
    metadata,
    sa.Column("id", Serial, primary_key=True, autoincrement=True),
    _tenant(),
    sa.Column("entitlement_id", Text, nullable=False),
    # "direct": the entitlement's own value. "role": a value of User.roles. "group": the id of a group.
    sa.Column("kind", Text, nullable=False),
    sa.Column("value", Text, nullable=False),
    *_carrier(),
    sa.Index("ix_mapping_value", "tenant_id", "kind", "value", "until"),
    sa.Index("ix_mapping_entitlement", "entitlement_id"),
)

entitlement = sa.Table(
    "entitlement",
    metadata,
    # The id of the SCIM resource; the row goes with it.
    sa.Column("id", Text, primary_key=True),
    _tenant(),
    sa.Column("value", Text, nullable=False),
    sa.Column("audience", Text),
    # A JSON array of scope names, and the conditions, each in its canonical form.
    sa.Column("scopes", Json, nullable=False),
    sa.Column("conditions", Json, nullable=False),
    # "automatic": a grant issues a key by itself; "manual": an operator issues it.
    sa.Column("issuance", Text, nullable=False),
    # Microseconds a key for this entitlement lives from its issue; null: no end of its own.
    sa.Column("key_lifetime", Time),
)

key = sa.Table(
    "key",
    metadata,
    sa.Column("id", Text, primary_key=True),
    _tenant(),
    sa.Column("consumer_id", Text, sa.ForeignKey("consumer.id"), nullable=False, index=True),
    sa.Column("issued_at", Time, nullable=False),
    sa.Column("claimed_at", Time),
    sa.Column("expires_at", Time),
    sa.Column("revoked_at", Time),
    sa.Column("revoked_reason", Text),
    sa.Index("ix_key_listing", "tenant_id", "issued_at", "id"),
)

key_entitlement = sa.Table(
    "key_entitlement",
    metadata,
    sa.Column("key_id", Text, sa.ForeignKey("key.id"), primary_key=True),
    sa.Column("entitlement_id", Text, primary_key=True),
    sa.Index("ix_key_entitlement_entitlement", "entitlement_id"),
)

secret = sa.Table(
    "secret",
    metadata,
    # The public identifier inside the secret: it is looked up by this, and compared by the digest.
    sa.Column("id", Text, primary_key=True),
    _tenant(),
    sa.Column("key_id", Text, sa.ForeignKey("key.id"), nullable=False, index=True),
    sa.Column("digest", sa.LargeBinary, nullable=False),
    sa.Column("pepper", sa.Integer, nullable=False),
    sa.Column("created_at", Time, nullable=False),
    # When a secret that was rotated out stops working; null on the one that replaced it.
    sa.Column("ends_at", Time),
    # When it was rotated out.
    sa.Column("replaced_at", Time),
    # When somebody's use of it, dead as it is, was last reported.
    sa.Column("reuse_reported_at", Time),
    # Its place in the tenant's status lists, drawn at random; null on those from before there were any.
    sa.Column("status_index", sa.Integer),
    sa.Index("uq_secret_status_index", "tenant_id", "status_index", unique=True),
    sa.Index(
        "uq_secret_current",
        "key_id",
        unique=True,
        sqlite_where=sa.text("ends_at IS NULL"),
        postgresql_where=sa.text("ends_at IS NULL"),
    ),
)

claim_link = sa.Table(
    "claim_link",
    metadata,
    # The public identifier inside the link's token: it is looked up by this, and compared by the digest.
    sa.Column("id", Text, primary_key=True),
    _tenant(),
    sa.Column("key_id", Text, sa.ForeignKey("key.id"), nullable=False, index=True),
    sa.Column("digest", sa.LargeBinary, nullable=False),
    sa.Column("pepper", sa.Integer, nullable=False),
    sa.Column("created_at", Time, nullable=False),
    sa.Column("expires_at", Time, nullable=False),
    sa.Column("used_at", Time),
    # When a newer link for the key ended this one.
    sa.Column("replaced_at", Time),
)

login_provider = sa.Table(
    "login_provider",
    metadata,
    # Another one with each change, so that a session of before it can be told.
    sa.Column("id", Text, primary_key=True),
    # One for each tenant. The client's secret is in a file, not here.
    sa.Column("tenant_id", Text, sa.ForeignKey("tenant.id"), nullable=False, unique=True),
    sa.Column("issuer", Text, nullable=False),
    sa.Column("client_id", Text, nullable=False),
    sa.Column("client_authentication", Text, nullable=False),
    # Which claim of the ID token names a user by which attribute; null: preferred_username, else email.
    sa.Column("claim", Text),
    sa.Column("attribute", Text, nullable=False),
    sa.Column("created_at", Time, nullable=False),
)

idempotent_request = sa.Table(
    "idempotent_request",
    metadata,
    # Of the credential and the Idempotency-Key, which is what opens the sealed secret and is not kept.
    sa.Column("digest", sa.LargeBinary, primary_key=True),
    _tenant(),
    sa.Column("pepper", sa.Integer, nullable=False),
    sa.Column("created_at", Time, nullable=False, index=True),
    # What was asked, as a hash: the same key with another request is a mistake.
    sa.Column("fingerprint", sa.LargeBinary, nullable=False),
    # What was answered, without the secret: JSON as text, for PostgreSQL's would change the order.
    sa.Column("status", sa.Integer, nullable=False),
    sa.Column("document", Text, nullable=False),
    sa.Column("had_secret", sa.Boolean, nullable=False),
    # The secret that was answered, encrypted under the Idempotency-Key and a pepper; it goes soon.
    sa.Column("sealed", sa.LargeBinary),
)

event = sa.Table(
    "event",
    metadata,
    sa.Column("sequence", Serial, primary_key=True, autoincrement=True),
    sa.Column("id", Text, nullable=False, unique=True),
    _tenant(),
    sa.Column("time", Time, nullable=False),
    sa.Column("type", Text, nullable=False),
    # Who did it: "connection:<id>", "credential:<id>", "consumer:<id>", "link:<id>", "cli:<login>", "system".
    sa.Column("actor", Text, nullable=False),
    # The transaction: all events of one request share it (RFC 9967's txn).
    sa.Column("txn", Text, nullable=False),
    # What it happened to, as "<type>/<id>".
    sa.Column("subject", Text, nullable=False),
    sa.Column("data", Json, nullable=False),
    sa.Index("ix_event_timeline", "tenant_id", "sequence"),
    sa.Index("ix_event_subject", "tenant_id", "subject", "sequence"),
    # The moments of a tenant's writes differ, so a moment finds the events of one transaction.
    sa.Index("ix_event_moment", "tenant_id", "time"),
)

follow_up = sa.Table(
    "follow_up",
    metadata,
    sa.Column("id", Serial, primary_key=True),
    _tenant(),
    # Whose keys: "members", the people among and below some members, or "entitlement", those it is about.
    sa.Column("kind", Text, nullable=False),
    sa.Column("ids", Json, nullable=False),
    # The moment of the change that is followed up, who made it, and in which transaction.
    sa.Column("moment", Time, nullable=False),
    sa.Column("actor", Text, nullable=False),
    sa.Column("txn", Text, nullable=False),
    # The last consumer that was looked at, in the order of their ids; empty before the first.
    sa.Column("reached", Text, nullable=False, default=""),
    sa.Column("done", sa.BigInteger, nullable=False, default=0),
    sa.Column("total", sa.BigInteger),
    sa.Column("finished_at", Time),
    sa.Index(
        "ix_follow_up_pending",
        "tenant_id",
        "id",
        sqlite_where=sa.text("finished_at IS NULL"),
        postgresql_where=sa.text("finished_at IS NULL"),
    ),
)

key_usage = sa.Table(
    "key_usage",
    metadata,
    # No foreign key: what was seen of a key is told whatever became of it.
    sa.Column("key_id", Text, primary_key=True),
    _tenant(),
    # The first and the last time it was allowed; null when it never was.
    sa.Column("first_at", Time),
    sa.Column("last_at", Time),
    sa.Column("last_denied_at", Time),
    sa.Column("allowed", sa.BigInteger, nullable=False),
    sa.Column("denied", sa.BigInteger, nullable=False),
    # Of the denials, those of a secret that nothing brings back.
    sa.Column("dead_uses", sa.BigInteger, nullable=False),
    sa.Column("last_network", Text),
    sa.Index(
        "ix_key_usage_dead",
        "tenant_id",
        "last_denied_at",
        sqlite_where=sa.text("dead_uses > 0"),
        postgresql_where=sa.text("dead_uses > 0"),
    ),
)

key_usage_day = sa.Table(
    "key_usage_day",
    metadata,
    sa.Column("key_id", Text, primary_key=True),
    _tenant(),
    # Days since 1970-01-01 (UTC).
    sa.Column("day", sa.Integer, primary_key=True),
    # Empty for the uses as such; else those that this entitlement satisfied, several of which may be one use.
    sa.Column("entitlement_id", Text, primary_key=True),
    # "allowed", or the code of the reason for which it was denied.
    sa.Column("outcome", Text, primary_key=True),
    sa.Column("uses", sa.BigInteger, nullable=False),
)

key_network = sa.Table(
    "key_network",
    metadata,
    sa.Column("key_id", Text, primary_key=True),
    _tenant(),
    # The caller's address cut to its network: /24 for IPv4, /48 for IPv6.
    sa.Column("network", Text, primary_key=True),
    sa.Column("first_at", Time, nullable=False),
    sa.Column("last_at", Time, nullable=False),
    sa.Column("uses", sa.BigInteger, nullable=False),
    sa.Index("ix_key_network_first", "tenant_id", "first_at"),
)

decision_batch = sa.Table(
    "decision_batch",
    metadata,
    sa.Column("sequence", Serial, primary_key=True, autoincrement=True),
    sa.Column("id", Text, nullable=False, unique=True),
    _tenant(),
    sa.Column("first_at", Time, nullable=False),
    sa.Column("last_at", Time, nullable=False),
    sa.Column("decisions", sa.Integer, nullable=False),
    # Which keys it is about: the sorted CRC-32s of their ids, four bytes each.
    sa.Column("key_marks", sa.LargeBinary, nullable=False),
    # One JSON text a line, compressed (RFC 8878), and the digest of the lines before they were.
    sa.Column("records", sa.LargeBinary, nullable=False),
    sa.Column("sha256", sa.LargeBinary, nullable=False),
    sa.Index("ix_decision_batch_reading", "tenant_id", "sequence"),
    sa.Index("ix_decision_batch_last", "tenant_id", "last_at"),
)

spool_progress = sa.Table(
    "spool_progress",
    metadata,
    # How far a segment of a node's spool is folded, in bytes: for all tenants (an empty id), or for one that
    # is ahead of the others.
    sa.Column("segment", Text, primary_key=True),
    sa.Column("tenant_id", Text, primary_key=True),
    sa.Column("node", Text, nullable=False, index=True),
    sa.Column("folded", sa.BigInteger, nullable=False),
)

decision_count = sa.Table(
    "decision_count",
    metadata,
    sa.Column("node", Text, primary_key=True),
    sa.Column("face", Text, primary_key=True),
    sa.Column("outcome", Text, primary_key=True),
    # Which of the histogram's buckets they fell into, and how long they took together.
    sa.Column("bucket", sa.Integer, primary_key=True),
    sa.Column("decisions", sa.BigInteger, nullable=False),
    sa.Column("nanoseconds", sa.BigInteger, nullable=False),
)
