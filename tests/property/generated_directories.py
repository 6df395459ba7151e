"""Generated users and the searches over them: everything that RFC 7644 §3.4.2 lets a client write."""

from __future__ import annotations

import json
from typing import Any, Final
from unicodedata import normalize

from hypothesis import strategies as st
from scim2_models import ScimFilter, default_comparison_key

CORE: Final = "urn:ietf:params:scim:schemas:core:2.0:User"
ENTERPRISE: Final = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"

# Letter case, two normal forms of one letter, wildcards of LIKE, quotes, digits that sort otherwise as
# numbers, and two characters that UTF-16 and code points order differently.
_CHARACTERS: Final = [*"aAb", "é", "E\u0301", *"ßİ%_", "\\", '"', "'", " ", "1", "02", "\uffee", "\U0001f600"]
_words = st.lists(st.sampled_from(_CHARACTERS), max_size=3).map("".join)
_kinds = st.sampled_from(["work", "Home", "other", ""])
_links = st.sampled_from(["https://a.example/", "https://a.example/A", "https://b.example/%"])
_certificates = st.sampled_from(["YQ==", "Yg==", "YWI="])
_times = st.sampled_from(
    [
        "2026-01-01T00:00:00Z",
        "2026-01-01T00:00:00.000001Z",
        "2026-01-01T02:00:00+02:00",
        "2027-06-30T12:00:00Z",
        "2027-06-30T12:00:00",
    ]
)

USER_TIMES: Final = (1_767_225_600_000_000, 1_767_225_600_000_001, 1_798_761_600_000_000)
"""Moments at which generated users are created and modified."""


def _some(**attributes: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional=attributes)


def _entries(**attributes: st.SearchStrategy[Any]) -> st.SearchStrategy[list[dict[str, Any]]]:
    return st.lists(_some(**attributes, primary=st.booleans()), max_size=3).map(_with_one_primary)


def _with_one_primary(entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    first = next((entry for entry in entries if entry.get("primary")), None)
    return [entry if entry is first else {**entry, "primary": False} for entry in entries]


_users = st.builds(
    lambda required, optional: {"schemas": [CORE], **required, **optional},
    st.fixed_dictionaries(
        {"userName": st.builds(str.__add__, _words, st.sampled_from(["a", "B", "é", "_"]))}
    ),
    _some(
        externalId=_words,
        displayName=_words,
        title=_words,
        active=st.booleans(),
        profileUrl=_links,
        name=_some(givenName=_words, familyName=_words),
        emails=_entries(value=_words, type=_kinds, display=_words),
        roles=_entries(value=_words, type=_kinds),
        addresses=_entries(locality=_words, type=_kinds),
        photos=_entries(value=_links),
        x509Certificates=_entries(value=_certificates),
        **{
            ENTERPRISE: _some(
                employeeNumber=_words, manager=_some(value=_words, displayName=_words), department=_words
            )
        },
    ),
)


def _folded(user: dict[str, Any]) -> str:
    class CaseInsensitive:
        case_exact = False

    return default_comparison_key(CaseInsensitive, user["userName"])


users: Final = st.lists(_users, max_size=5, unique_by=_folded)
"""Bodies of users, no two of the same userName."""

_TEXTS: Final = [
    "userName",
    "USERNAME",
    f"{CORE}:userName",
    f"{CORE}:name.givenName",
    f"{CORE}:emails.value",
    "externalId",
    "displayName",
    "title",
    "name.givenName",
    "name.familyName",
    "emails",
    "emails.value",
    "emails.type",
    "emails.display",
    "roles",
    "roles.type",
    "addresses.locality",
    "schemas",
    "id",
    "meta.resourceType",
    "meta.version",
    f"{ENTERPRISE}:employeeNumber",
    f"{ENTERPRISE.upper().replace('URN', 'urn')}:department",
    f"{ENTERPRISE}:manager.value",
    f"{ENTERPRISE}:manager.displayName",
]
_LINKS: Final = ["profileUrl", "photos", "photos.value"]
_BOOLEANS: Final = ["active", "emails.primary", "addresses.primary"]
_MOMENTS: Final = ["meta.created", "meta.lastModified"]
_BINARIES: Final = ["x509Certificates", "x509Certificates.value"]
_COMPLEX: Final = ["name", "addresses", "meta", f"{ENTERPRISE}:manager"]
_UNKNOWN: Final = [
    "nonsense",
    "name.nonsense",
    "title.nonsense",
    "urn:example:none:title",
    f"{ENTERPRISE}:title",
]

_EQUALITY: Final = ["eq", "ne"]
_ORDER: Final = ["gt", "ge", "lt", "le"]
_SUBSTRING: Final = ["co", "sw", "ew"]


def _written(value: Any) -> str:
    """Return a value as a filter has it, in any way that JSON allows: a letter may be an escape."""
    return json.dumps(value) if isinstance(value, str) and "é" in value else ScimFilter.quote(value)


def _comparisons(
    paths: list[str], operators: list[str], values: st.SearchStrategy[Any]
) -> st.SearchStrategy[str]:
    return st.builds(
        "{} {} {}".format,
        st.sampled_from(paths),
        st.sampled_from([*operators, *map(str.upper, operators)]),
        (st.none() | values).map(_written),
    )


_all_operators = _EQUALITY + _ORDER + _SUBSTRING
_stored_words = st.sampled_from([CORE, ENTERPRISE, "User", "user", 'W/"1"', "work"])
_leaves = st.one_of(
    _comparisons(_TEXTS, _all_operators, _words | _stored_words),
    _comparisons(_LINKS, _EQUALITY + _ORDER, _links),
    _comparisons(_LINKS, _SUBSTRING, _words | st.just("https://a")),
    _comparisons(_BOOLEANS, _EQUALITY, st.booleans()),
    _comparisons(_MOMENTS, _EQUALITY + _ORDER, _times),
    _comparisons(_MOMENTS, _SUBSTRING, _words),
    _comparisons(_BINARIES, _EQUALITY, _certificates),
    _comparisons(_COMPLEX, _all_operators, _words),
    _comparisons(_UNKNOWN, _all_operators, _words),
    st.sampled_from([*_TEXTS, *_LINKS, *_BOOLEANS, *_MOMENTS, *_BINARIES, *_COMPLEX, *_UNKNOWN]).map(
        "{} pr".format
    ),
)


def _joined(terms: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Join terms with brackets and without: ``not`` binds before ``and``, and that before ``or``."""
    return st.one_of(
        st.builds("{}({})".format, st.sampled_from(["not ", "NOT ", "not"]), terms),
        st.builds("({}) and {}".format, terms, terms),
        st.builds("({} or {})".format, terms, terms),
        st.builds("{} {} {}".format, terms, st.sampled_from(["and", "or", "And", "OR"]), terms),
    )


def _value_paths(heads: list[str], leaves: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.builds("{}[{}]".format, st.sampled_from(heads), st.recursive(leaves, _joined, max_leaves=3))


def _of_an_entry(texts: list[str]) -> st.SearchStrategy[str]:
    return st.one_of(
        _comparisons(texts, _all_operators, _words | _kinds),
        _comparisons(["primary"], _EQUALITY, st.booleans()),
        st.sampled_from([*texts, "primary", "nonsense"]).map("{} pr".format),
    )


_selections = st.one_of(
    _value_paths(
        ["emails", "EMAILS", f"{CORE}:emails"], _of_an_entry(["value", "type", "display", "nonsense"])
    ),
    _value_paths(["roles"], _of_an_entry(["value", "type"])),
    _value_paths(["addresses"], _of_an_entry(["locality", "type"])),
    _value_paths(["schemas"], _comparisons(["value", "nonsense"], _all_operators, _words | _stored_words)),
    # Microsoft Entra's way of writing a value path.
    st.builds(
        "emails[type eq {}].value {} {}".format,
        _kinds.map(ScimFilter.quote),
        st.sampled_from(_all_operators),
        _words.map(ScimFilter.quote),
    ),
)

filters: Final = st.recursive(_leaves | _selections, _joined, max_leaves=5)
"""Filters over users, of every kind."""

sort_paths: Final = st.sampled_from(
    [path for path in (*_TEXTS, *_LINKS, *_BOOLEANS, *_MOMENTS) if not path.isupper()]
)
"""What users can be sorted by."""

# -- Entitlements: numbers, exact lists, lists within a complex attribute ---------

ENTITLEMENT: Final = "urn:keysteward:scim:schemas:core:1.0:Entitlement"

_numbers = st.sampled_from([0, 1, 60, 61, 3600, -1, 2**31, 2**62])
_methods = st.lists(st.sampled_from(["GET", "get", "POST"]), max_size=2)

_entitlements = st.builds(
    lambda required, optional: {"schemas": [ENTITLEMENT], **required, **optional},
    st.fixed_dictionaries({"value": st.builds(str.__add__, _words, st.sampled_from(["a", "A", "é"]))}),
    _some(
        display=_words,
        type=_kinds,
        supported=st.booleans(),
        limitedAssignmentsPermitted=st.booleans(),
        totalAssignmentsPermitted=_numbers,
        scopes=st.lists(_words, max_size=3),
        keyPolicy=_some(issuance=st.sampled_from(["manual", "Automatic"]), lifetimeSeconds=_numbers),
        conditions=_some(methods=_methods, notAfter=_words),
        roles=st.lists(_some(value=_words, display=_words), max_size=3),
    ),
)

entitlements: Final = st.lists(
    _entitlements, max_size=4, unique_by=lambda body: normalize("NFKC", body["value"])
)
"""Bodies of entitlements, no two of the same value."""

_OF_NUMBERS: Final = [
    "totalAssignmentsPermitted",
    f"{ENTITLEMENT}:totalAssignmentsPermitted",
    "keyPolicy.lifetimeSeconds",
    "KEYPOLICY.LIFETIMESECONDS",
]
_OF_TEXTS: Final = [
    "value",
    "display",
    "type",
    "scopes",
    "keyPolicy.issuance",
    "conditions.notAfter",
    "roles.value",
]
_OF_BOOLEANS: Final = ["supported", "limitedAssignmentsPermitted"]
_operands = _numbers | st.sampled_from([60.0, 6e1, -1.0, 10**30, -(10**400)])

_of_an_entitlement = st.one_of(
    _comparisons(_OF_NUMBERS, _EQUALITY + _ORDER, _operands),
    _comparisons(_OF_TEXTS, _all_operators, _words | _kinds),
    _comparisons(["conditions.methods"], _all_operators, st.sampled_from(["GET", "get", "P", ""])),
    _comparisons(_OF_BOOLEANS, _EQUALITY, st.booleans()),
    _comparisons(["keyPolicy", "conditions", "roles"], _EQUALITY, st.nothing()),
    st.sampled_from(
        [*_OF_NUMBERS, *_OF_TEXTS, *_OF_BOOLEANS, "conditions", "conditions.methods", "keyPolicy", "roles"]
    ).map("{} pr".format),
    _value_paths(["roles"], _comparisons(["value", "display"], _all_operators, _words)),
    _value_paths(["scopes"], _comparisons(["value"], _all_operators, _words)),
)

entitlement_filters: Final = st.recursive(_of_an_entitlement, _joined, max_leaves=5)
"""Filters over entitlements, of every kind."""

simple_filters: Final = _leaves
"""Filters of one term."""
