"""Which alarms are meant: by the problem that they stand for, by id, or by their attributes."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tmf_apis.errors import InvalidBody, Unprocessable
from tmf_apis.rest.pipeline.batch_reader import iter_resources
from tmf_apis.rest.pipeline.policy import Repository, Resource

#: Most alarms that one task acts on.
MAX_TASK_ALARMS = 10_000

#: Members that say what an object is or where, not which alarms are meant.
_META_ATTRIBUTES = frozenset({"@type", "@baseType", "@schemaLocation", "@referredType", "href"})


@dataclass(frozen=True, slots=True)
class AlarmKey:
    """What makes two reports the same problem.

    Attributes:
        source: ``sourceSystemId``.
        problem: ``externalAlarmId``: the source's own name of the problem.
    """

    source: str
    problem: str


def find_open(repository: Repository, key: AlarmKey) -> Resource | None:
    """Return the alarm of a problem that is not over, the latest if there are several."""
    query = {
        "sourceSystemId": key.source,
        "externalAlarmId": key.problem,
        "state": {"$nin": ["cleared", "Cleared", "CLEARED"]},
    }
    found = repository.find("Alarm", query, limit=1, sort="-id")
    return found[0] if found else None


def find_matching(
    repository: Repository, patterns: list[Resource], pointer: str
) -> tuple[list[str], list[str]]:
    """Return the ids of the alarms that match any pattern, and wanted ids that are not there.

    Args:
        repository: Sees what the client may see.
        patterns: Each matches the alarms that have all of its attributes with the same values.
        pointer: Where the patterns are in the body, for the message.

    Raises:
        InvalidBody: A pattern has no attribute, or a name that none can have (HTTP 400).
        Unprocessable: They match too many alarms (HTTP 422).
    """
    queries = [
        pattern_query(pattern, f"{pointer}/{place}") for place, pattern in enumerate(patterns)
    ]
    found: dict[str, None] = {}
    missing: list[str] = []
    for pattern, query in zip(patterns, queries, strict=True):
        before = len(found)
        for alarm in iter_resources(repository, "Alarm", query):
            found[alarm["id"]] = None
            if len(found) > MAX_TASK_ALARMS:
                raise Unprocessable(
                    f"{pointer}: matches more than {MAX_TASK_ALARMS} alarms; narrow it"
                )
        if "id" in pattern and len(found) == before and str(pattern["id"]) not in found:
            missing.append(str(pattern["id"]))
    return list(found), missing


def pattern_query(pattern: Resource, pointer: str) -> dict[str, Any]:
    """Return the query that finds what a pattern matches.

    Raises:
        InvalidBody: It has no attribute, or a name that none can have (HTTP 400).
    """
    named = {key: value for key, value in pattern.items() if key != "name"}
    if "id" in named:
        named["id"] = str(named["id"])
    if not (conditions := list(_conditions(named, "", pointer))):
        raise InvalidBody(f"{pointer}: expected an id or another attribute of an alarm")
    return {"$and": conditions}


def _conditions(pattern: Mapping[str, Any], prefix: str, pointer: str) -> Iterator[dict[str, Any]]:
    for name, wanted in pattern.items():
        if name in _META_ATTRIBUTES:
            continue
        if not name or name.startswith("$") or "." in name or "\0" in name:
            raise InvalidBody(f"{pointer}/{name}: no attribute has such a name")
        path = prefix + name
        if wanted in ({}, []):
            raise InvalidBody(
                f"{pointer}/{name}: expected a value; an empty one would match anything"
            )
        if isinstance(wanted, Mapping):
            yield from _conditions(wanted, f"{path}.", f"{pointer}/{name}")
        elif isinstance(wanted, list):
            yield from _list_conditions(wanted, path, f"{pointer}/{name}")
        else:
            yield {path: {"$eq": wanted}}


def _list_conditions(items: list[Any], path: str, pointer: str) -> Iterator[dict[str, Any]]:
    for place, item in enumerate(items):
        if not isinstance(item, Mapping):
            yield {path: {"$eq": item}}
        elif inner := list(_conditions(item, "", f"{pointer}/{place}")):
            yield {path: {"$elemMatch": {"$and": inner}}}
