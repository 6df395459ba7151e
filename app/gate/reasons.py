"""The reasons for which the gate denies: stable codes, each with its HTTP status."""

from __future__ import annotations

from enum import Enum
from typing import Final


class Reason(Enum):
    """Why a call may not pass: the code, the status towards a gateway, and what it means.

    The status is 401 where another key might do and 403 otherwise; gateways such as nginx make an error 500
    of any other.
    """

    NO_KEY = ("no_key", 401, "The call carries no key.")
    KEY_MALFORMED = ("key_malformed", 401, "What the call carries is no key: wrong form or checksum.")
    KEYS_CONFLICT = ("keys_conflict", 401, "The call carries more than one key, or one in two headers.")
    KEY_UNKNOWN = ("key_unknown", 401, "The tenant has no such key.")
    KEY_REVOKED = ("key_revoked", 401, "The key was revoked for good.")
    KEY_EXPIRED = ("key_expired", 401, "The key has come to the end of its life.")
    SECRET_ROTATED = ("secret_rotated", 401, "The secret was replaced, and its overlap is over.")
    CONSUMER_DELETED = ("consumer_deleted", 401, "The user that held the key was deleted.")
    CONSUMER_INACTIVE = ("consumer_inactive", 401, "The user that holds the key is not active.")
    ACCESS_NOT_STARTED = ("access_not_started", 401, "The user's access has not begun yet.")
    ACCESS_ENDED = ("access_ended", 401, "The user's access has ended.")
    SPONSOR_ABSENT = (
        "sponsor_absent",
        401,
        "The user who answers for the service user that holds the key is not active.",
    )
    RIGHT_LAPSED = (
        "right_lapsed",
        401,
        "Every right of the key was away for longer than the recovery window; it never comes back.",
    )
    NO_GRANT = ("no_grant", 403, "The directory grants none of the key's entitlements now.")
    AUDIENCE_MISMATCH = ("audience_mismatch", 403, "No right of the key is for this audience.")
    SCOPE_MISSING = ("scope_missing", 403, "No right of the key has all the scopes that are asked for.")
    CONDITION_UNKNOWN = ("condition_unknown", 403, "The entitlement has a condition that cannot be judged.")
    RIGHT_ENDED = ("right_ended", 403, "The last moment at which the entitlement may be used is over.")
    RIGHT_NOT_STARTED = ("right_not_started", 403, "The entitlement may not be used yet.")
    METHOD_NOT_ALLOWED = ("method_not_allowed", 403, "The entitlement does not allow this method.")
    PATH_NOT_ALLOWED = (
        "path_not_allowed",
        403,
        "The entitlement does not allow this path, or it is ambiguous.",
    )
    PROPERTY_MISMATCH = (
        "property_mismatch",
        403,
        "The entitlement asks for other properties of the resource or the action, or they are not known.",
    )
    KEY_UNCLAIMED = ("key_unclaimed", 401, "The key is issued and not claimed yet: nobody has its secret.")
    SUBJECT_UNKNOWN = ("subject_unknown", 401, "The tenant has no such subject.")
    NETWORK_NOT_ALLOWED = (
        "network_not_allowed",
        403,
        "The entitlement does not allow the client's address, or it is not known.",
    )
    OUTSIDE_WINDOW = ("outside_window", 403, "The entitlement may not be used at this time.")
    POLICY_FORBIDS = ("policy_forbids", 403, "The entitlement's policy does not permit this call.")
    POLICY_ERROR = (
        "policy_error",
        403,
        "The entitlement's policy cannot be judged: it failed, or asks for what is not known of this call.",
    )
    QUOTA_EXCEEDED = ("quota_exceeded", 403, "The quota of the day or the month is used up.")
    RATE_EXCEEDED = ("rate_exceeded", 403, "Too many requests came in too short a time.")
    PEPPER_MISSING = (
        "pepper_missing",
        401,
        "The pepper under which the key's digest was made is not at hand here, so the key opens nothing.",
    )
    GATE_UNAUTHENTICATED = (
        "gate_unauthenticated",
        403,
        "The gateway's own token is missing or opens nothing.",
    )
    STORE_UNAVAILABLE = ("store_unavailable", 403, "The store does not answer; nothing passes until it does.")
    CLOCK_ABSURD = ("clock_absurd", 403, "The clock contradicts what is stored; nothing passes.")

    def __init__(self, code: str, status: int, description: str) -> None:
        self.code = code
        self.status = status
        self.description = description


DEAD: Final = frozenset(
    {
        Reason.KEY_REVOKED,
        Reason.KEY_EXPIRED,
        Reason.SECRET_ROTATED,
        Reason.CONSUMER_DELETED,
        Reason.RIGHT_LAPSED,
    }
)
"""The reasons that nothing takes back: who uses such a secret all the same is worth knowing of."""

OUTAGES: Final = frozenset({Reason.STORE_UNAVAILABLE, Reason.CLOCK_ABSURD, Reason.PEPPER_MISSING})
"""The reasons that say nothing of the key: the server itself cannot judge."""
