"""Users that all queries are tried on: made once in a run, and told apart by name."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, timedelta, timezone
from typing import Any, Final

from conformance.rfc.expectations import expect, member, moment
from conformance.rfc.provider import USER
from conformance.rfc.stage import Deviates, Made, NotApplicable, Stage, summary

NAMES: Final = ("ada", "ben", "cyd", "dov", "eve", "fay")
"""In the order of their userNames. What each has is said in :func:`cast`."""

_MOST_PAGES: Final = 200


@dataclass(frozen=True)
class Cast:
    """The users, and the tag that their texts hold."""

    tag: str
    people: Mapping[str, Made]
    texts: Mapping[str, str]

    def name_of(self, identity: object) -> str | None:
        """Return whose id it is; None when it is nobody's of the cast."""
        return next((name for name, made in self.people.items() if made.id == identity), None)


def cast(stage: Stage) -> Cast:
    """Return the users; they are made by the first trial that asks, and stay until the end of the run.

    ====  =====================  ======  ==================================  =========  ===========
    name  text                   active  values (type: value)                familyName extension
    ====  =====================  ======  ==================================  =========  ===========
    ada   ``<tag> Engineer``     true    work: ``one-…``, home: ``two-…``    Adams      yes
    ben   ``<tag> engineer``     false   home: ``one-…``                     Bond       –
    cyd   ``<tag> Manager``      true    work: ``two-…``                     Adams      –
    dov   –                      true    –                                   –          –
    eve   ``<tag> "Q" \\\\ x``      false   other: ``three-…``                  Cole       –
    fay   ``<tag> Ωmega``        true    work: ``four-…``                    –          –
    ====  =====================  ======  ==================================  =========  ===========

    :raises Untestable: when the server refuses to make one of them.
    """
    if stage.cast is None:
        tag = stage.name("t")
        texts = {
            "ada": f"{tag} Engineer",
            "ben": f"{tag} engineer",
            "cyd": f"{tag} Manager",
            "eve": f'{tag} "Q" \\ x',
            "fay": f"{tag} Ωmega",
        }
        people = {}
        for name in NAMES:
            people[name] = stage.new_user(userName=f"{tag}{name}", **_attributes(stage, tag, name, texts))
            stage.keep(people[name])
        stage.cast = Cast(tag, people, texts)
    return stage.cast


_VALUES: Final = {
    "ada": (("work", "one"), ("home", "two")),
    "ben": (("home", "one"),),
    "cyd": (("work", "two"),),
    "eve": (("other", "three"),),
    "fay": (("work", "four"),),
}
_FAMILIES: Final = {"ada": "Adams", "ben": "Bond", "cyd": "Adams", "eve": "Cole"}


def _attributes(stage: Stage, tag: str, name: str, texts: Mapping[str, str]) -> dict[str, Any]:
    attributes: dict[str, Any] = {"externalId": f"{tag}{name.upper()}"}
    if stage.provider.attribute(USER, "active"):
        attributes["active"] = name not in ("ben", "eve")
    for optional in (_text, _values, _family, _extension):
        try:
            attributes.update(optional(stage, tag, name, texts))
        except NotApplicable:
            continue
    return attributes


def _text(stage: Stage, tag: str, name: str, texts: Mapping[str, str]) -> dict[str, Any]:
    return {stage.text(): texts[name]} if name in texts else {}


def _values(stage: Stage, tag: str, name: str, texts: Mapping[str, str]) -> dict[str, Any]:
    listed = [
        {"type": kind, "value": f"{word}-{tag}-{name}@example.com"} for kind, word in _VALUES.get(name, ())
    ]
    return {stage.values(): listed} if listed else {}


def _family(stage: Stage, tag: str, name: str, texts: Mapping[str, str]) -> dict[str, Any]:
    stage.attribute("name.familyName")
    return {"name": {"familyName": f"{_FAMILIES[name]} {tag}"}} if name in _FAMILIES else {}


def _extension(stage: Stage, tag: str, name: str, texts: Mapping[str, str]) -> dict[str, Any]:
    attribute = stage.extension_text()
    return {attribute.schema: {attribute.name: f"{tag} extension"}} if name == "ada" else {}


class Words:
    """The words in braces that the filters of trials are written with.

    :raises NotApplicable: for a word that stands for an attribute which the server does not declare.
    """

    def __init__(self, stage: Stage) -> None:
        self._stage = stage

    def __getitem__(self, word: str) -> str:
        stage = self._stage
        if word == "family":
            stage.attribute("name.familyName")
            return "name.familyName"
        if word == "active":
            return stage.attribute("active").name
        if word in ("extension", "extension_urn"):
            attribute = stage.extension_text()
            return attribute.schema if word == "extension_urn" else f"{attribute.schema}:{attribute.name}"
        if word.startswith("id_"):
            return cast(stage).people[word[3:]].id
        if word in ("hour_before", "hour_after", "created"):
            return _moment(stage, word)
        simple: dict[str, Callable[[], str]] = {
            "text": stage.text,
            "values": stage.values,
            "tag": lambda: cast(stage).tag,
            "user": lambda: USER,
            "type": lambda: stage.resource_type(USER).name,
        }
        return simple[word]()


def _moment(stage: Stage, word: str) -> str:
    """Return when ada was made, or an hour before or after it as a clock far away shows it.

    The clock is chosen so that the text compares the other way round than the moment does.
    """
    created = member(cast(stage).people["ada"].document, "meta.created")
    if word == "created":
        return str(created)
    at = moment(created, "meta.created")
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    shift, zone = (-1, 14) if word == "hour_before" else (1, -12)
    return (
        (at + timedelta(hours=shift))
        .astimezone(timezone(timedelta(hours=zone)))
        .isoformat(timespec="seconds")
    )


def matched(stage: Stage, template: str, endpoint: str | None = None) -> set[str]:
    """Return whom of the cast a filter finds.

    :param template: the filter, with words in braces; see :class:`Words`.
    :raises Deviates: when the query is not answered with a list.
    """
    stage.needs("filter")
    everyone = cast(stage)
    written = template.format_map(Words(stage))
    found: set[str] = set()
    for resource in pages(stage, endpoint or stage.users, filter=written):
        name = everyone.name_of(resource.get("id"))
        if name is not None:
            found.add(name)
    return found


def pages(stage: Stage, endpoint: str, **query: Any) -> Iterator[dict[str, Any]]:
    """Return the resources of a query, page after page by index.

    :raises Deviates: when a page is not answered with a list.
    """
    seen = 0
    for _ in range(_MOST_PAGES):
        answer = stage.target.get(endpoint, **query, **({"startIndex": seen + 1} if seen else {}))
        if answer.status != 200:
            raise Deviates(f"GET /{endpoint} with {query} is answered {summary(answer)}")
        yield from answer.resources
        seen += len(answer.resources)
        total = answer.document.get("totalResults")
        if not answer.resources or not isinstance(total, int) or seen >= total:
            return


def expect_found(stage: Stage, template: str, wanted: set[str], either: set[str] | None = None) -> None:
    """Expect that a filter finds exactly these, those of ``either`` aside.

    :raises Deviates: when it does not.
    """
    found = matched(stage, template) - (either or set())
    expect(found == wanted, f"{template} finds {sorted(found)} and not {sorted(wanted)}")
