"""Which alarms are meant: by the problem that they stand for, by id, or by their attributes."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tmf_apis.errors import InvalidBody, Unprocessable
from tmf_apis.rest.batches import every
from tmf_apis.rest.law import Desk, Resource

#: Most alarms that one task acts on.
MOST = 10_000

#: Members that say what an object is or where, not which alarms are meant.
_META = frozenset({"@type", "@baseType", "@schemaLocation", "@referredType", "href"})


@dataclass(frozen=True, slots=True)
class AlarmKey:
    """What makes two reports the same problem.

    Attributes:
        source: ``sourceSystemId``.
        problem: ``externalAlarmId``: the source's own name of the problem.
    """

    source: str
    problem: str


def find_open(desk: Desk, key: AlarmKey) -> Resource | None:
    """Return the alarm of a problem that is not over, the latest if there are several."""
    query = {
        "sourceSystemId": key.source,
        "externalAlarmId": key.problem,
        "state": {"$nin": ["cleared", "Cleared", "CLEARED"]},
    }
    found = desk.find("Alarm", query, limit=1, sort="-id")
    return found[0] if found else None


def matching(desk: Desk, patterns: list[Resource], at: str) -> tuple[list[str], list[str]]:
    """Return the ids of the alarms that match any pattern, and wanted ids that are not there.

    Args:
        desk: Sees what the client may see.
        patterns: Each matches the alarms that have all of its attributes with the same values.
        at: Where the patterns are in the body, for the message.

    Raises:
        InvalidBody: A pattern has no attribute, or a name that none can have (HTTP 400).
        Unprocessable: They match too many alarms (HTTP 422).
    """
    queries = [query_of(pattern, f"{at}/{place}") for place, pattern in enumerate(patterns)]
    found: dict[str, None] = {}
    missing: list[str] = []
    for pattern, query in zip(patterns, queries, strict=True):
        before = len(found)
        for alarm in every(desk, "Alarm", query):
            found[alarm["id"]] = None
            if len(found) > MOST:
                raise Unprocessable(f"{at}: matches more than {MOST} alarms; narrow it")
        if "id" in pattern and len(found) == before and str(pattern["id"]) not in found:
            missing.append(str(pattern["id"]))
    return list(found), missing


def query_of(pattern: Resource, at: str) -> dict[str, Any]:
    """Return the query that finds what a pattern matches.

    Raises:
        InvalidBody: It has no attribute, or a name that none can have (HTTP 400).
    """
    named = {key: value for key, value in pattern.items() if key != "name"}
    if "id" in named:
        named["id"] = str(named["id"])
    if not (conditions := list(_conditions(named, "", at))):
        raise InvalidBody(f"{at}: expected an id or another attribute of an alarm")
    return {"$and": conditions}


def _conditions(value: Mapping[str, Any], prefix: str, at: str) -> Iterator[dict[str, Any]]:
    for name, wanted in value.items():
        if name in _META:
            continue
        if not name or name.startswith("$") or "." in name or "\0" in name:
            raise InvalidBody(f"{at}/{name}: no attribute has such a name")
        path = prefix + name
        if wanted in ({}, []):
            raise InvalidBody(f"{at}/{name}: expected a value; an empty one would match anything")
        if isinstance(wanted, Mapping):
            yield from _conditions(wanted, f"{path}.", f"{at}/{name}")
        elif isinstance(wanted, list):
            yield from _of_list(wanted, path, f"{at}/{name}")
        else:
            yield {path: {"$eq": wanted}}


def _of_list(items: list[Any], path: str, at: str) -> Iterator[dict[str, Any]]:
    for place, item in enumerate(items):
        if not isinstance(item, Mapping):
            yield {path: {"$eq": item}}
        elif inner := list(_conditions(item, "", f"{at}/{place}")):
            yield {path: {"$elemMatch": {"$and": inner}}}
