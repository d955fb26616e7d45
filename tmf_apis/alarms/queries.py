"""Find alarms by the key of their problem, or by patterns of their attributes."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tmf_apis.errors import InvalidBody, Unprocessable
from tmf_apis.rest.pipeline.batch_reader import iter_resources
from tmf_apis.rest.pipeline.policy import Repository, Resource

#: Most alarms that one task acts on.
MAX_TASK_ALARMS = 10_000

#: Members of a pattern that do not select alarms.
_META_ATTRIBUTES = frozenset({"@type", "@baseType", "@schemaLocation", "@referredType", "href"})


@dataclass(frozen=True, slots=True)
class AlarmKey:
    """The identity of a problem: reports with the same key belong to the same alarm.

    Attributes:
        source: ``sourceSystemId``.
        problem: ``externalAlarmId``, the source's own name of the problem.
    """

    source: str
    problem: str


def find_open(repository: Repository, key: AlarmKey) -> Resource | None:
    """Return the alarm of a problem that is not cleared, the latest if there are several.

    An alarm that a party has created under the same key is not the alarm of the network.
    """
    query = {
        "sourceSystemId": key.source,
        "externalAlarmId": key.problem,
        "state": {"$nin": ["cleared", "Cleared", "CLEARED"]},
    }
    network = repository.for_network(None)
    alarms = network.find("Alarm", query, limit=1, sort="-id")
    return alarms[0] if alarms else None


def find_matching(
    repository: Repository, patterns: list[Resource], pointer: str
) -> tuple[list[str], list[str]]:
    """Return the ids of the matching alarms, and the ids in patterns that match no alarm.

    Args:
        repository: Reads the alarms that the client may read.
        patterns: Each matches the alarms that have all of its attributes with the same values.
        pointer: JSON pointer of the patterns in the body, for the message.

    Raises:
        InvalidBody: A pattern has no attribute, or an invalid attribute name (HTTP 400).
        Unprocessable: The patterns match more than ``MAX_TASK_ALARMS`` alarms (HTTP 422).
    """
    queries = [
        pattern_query(pattern, f"{pointer}/{index}") for index, pattern in enumerate(patterns)
    ]
    matching: dict[str, None] = {}
    missing: list[str] = []
    for pattern, query in zip(patterns, queries, strict=True):
        before = len(matching)
        for alarm in iter_resources(repository, "Alarm", query):
            matching[alarm["id"]] = None
            if len(matching) > MAX_TASK_ALARMS:
                raise Unprocessable(
                    f"{pointer}: matches more than {MAX_TASK_ALARMS} alarms; narrow it"
                )
        if "id" in pattern and len(matching) == before and str(pattern["id"]) not in matching:
            missing.append(str(pattern["id"]))
    return list(matching), missing


def pattern_query(pattern: Resource, pointer: str) -> dict[str, Any]:
    """Return the query that selects the alarms that match a pattern.

    Raises:
        InvalidBody: The pattern has no attribute, or an invalid attribute name (HTTP 400).
    """
    attributes = {key: value for key, value in pattern.items() if key != "name"}
    if "id" in attributes:
        attributes["id"] = str(attributes["id"])
    if not (conditions := list(_conditions(attributes, "", pointer))):
        raise InvalidBody(f"{pointer}: expected an id or another attribute of an alarm")
    return {"$and": conditions}


def _conditions(pattern: Mapping[str, Any], prefix: str, pointer: str) -> Iterator[dict[str, Any]]:
    for name, value in pattern.items():
        if name in _META_ATTRIBUTES:
            continue
        if not name or name.startswith("$") or "." in name or "\0" in name:
            raise InvalidBody(f"{pointer}/{name}: no attribute has such a name")
        path = prefix + name
        if value in ({}, []):
            raise InvalidBody(
                f"{pointer}/{name}: expected a value; an empty one would match anything"
            )
        if isinstance(value, Mapping):
            yield from _conditions(value, f"{path}.", f"{pointer}/{name}")
        elif isinstance(value, list):
            yield from _list_conditions(value, path, f"{pointer}/{name}")
        else:
            yield {path: {"$eq": value}}


def _list_conditions(items: list[Any], path: str, pointer: str) -> Iterator[dict[str, Any]]:
    for index, item in enumerate(items):
        if not isinstance(item, Mapping):
            yield {path: {"$eq": item}}
        elif inner := list(_conditions(item, "", f"{pointer}/{index}")):
            yield {path: {"$elemMatch": {"$and": inner}}}
