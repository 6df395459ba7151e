"""Generated users and the searches over them: everything that RFC 7644 §3.4.2 lets a client write."""

from __future__ import annotations

from typing import Any, Final

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


def _comparisons(
    paths: list[str], operators: list[str], values: st.SearchStrategy[Any]
) -> st.SearchStrategy[str]:
    operands = (st.none() | values).map(ScimFilter.quote)
    return st.builds(
        "{} {} {}".format,
        st.sampled_from(paths),
        st.sampled_from([*operators, *map(str.upper, operators)]),
        operands,
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
    return st.one_of(
        terms.map("not ({})".format),
        st.builds("({}) and {}".format, terms, terms),
        st.builds("({} or {})".format, terms, terms),
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
    _value_paths(["emails"], _of_an_entry(["value", "type", "display", "nonsense"])),
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
