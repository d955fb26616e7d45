"""References to resources of other kinds, where the law asks whether they lead anywhere."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from tmf_apis.errors import InvalidBody
from tmf_apis.rest.law import Desk


class Reference(NamedTuple):
    """What a resource refers to.

    Attributes:
        kind: The kind of what is referred to.
        at: JSON pointer of the reference.
        id: The id in it.
    """

    kind: str
    at: str
    id: str


def single(holder: Mapping[str, Any], kind: str, name: str, at: str = "") -> Iterator[Reference]:
    """Yield the reference that an attribute is, if it has an id.

    >>> list(single({"a": {"id": "1"}}, "Thing", "a"))
    [Reference(kind='Thing', at='/a', id='1')]
    """
    id = (holder.get(name) or {}).get("id")
    if isinstance(id, str):
        yield Reference(kind, f"{at}/{name}", id)


def several(holder: Mapping[str, Any], kind: str, name: str, at: str = "") -> Iterator[Reference]:
    """Yield the references with an id in a list."""
    for place, one in enumerate(holder.get(name) or ()):
        if isinstance(one.get("id"), str):
            yield Reference(kind, f"{at}/{name}/{place}", one["id"])


def check(desk: Desk, old: Iterable[Reference], new: Iterable[Reference]) -> None:
    """Let new references pass that lead to something; one query a kind.

    Nothing is looked up unless the operator wants it (``TMF_CHECK_REFERENCES``).

    Args:
        desk: Where to look.
        old: The references that were there before; what they name is not looked up again.
        new: The references that are to be stored.

    Raises:
        InvalidBody: One leads nowhere; the message has its JSON pointer (HTTP 400).
    """
    if not desk.circumstances.flags.get("check_references"):
        return
    before = {(one.kind, one.id) for one in old}
    wanted: dict[str, list[Reference]] = {}
    for one in new:
        if (one.kind, one.id) not in before:
            wanted.setdefault(one.kind, []).append(one)
    for kind, references in wanted.items():
        ids = sorted({one.id for one in references})
        found = {one["id"] for one in desk.find(kind, {"id": {"$in": ids}}, limit=len(ids))}
        for one in references:
            if one.id not in found:
                raise InvalidBody(f"{one.at}/id: there is no {kind} {one.id}")
