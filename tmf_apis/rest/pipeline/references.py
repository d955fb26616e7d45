"""References to resources of other kinds, where the law asks whether they lead anywhere."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from tmf_apis.errors import InvalidBody
from tmf_apis.rest.pipeline.policy import Repository


class Reference(NamedTuple):
    """What a resource refers to.

    Attributes:
        kind: The kind of what is referred to.
        pointer: JSON pointer of the reference.
        id: The id in it.
    """

    kind: str
    pointer: str
    id: str


def reference_at(
    holder: Mapping[str, Any], kind: str, name: str, pointer: str = ""
) -> Iterator[Reference]:
    """Yield the reference that an attribute is, if it has an id.

    >>> list(reference_at({"a": {"id": "1"}}, "Thing", "a"))
    [Reference(kind='Thing', pointer='/a', id='1')]
    """
    id = (holder.get(name) or {}).get("id")
    if isinstance(id, str):
        yield Reference(kind, f"{pointer}/{name}", id)


def references_at(
    holder: Mapping[str, Any], kind: str, name: str, pointer: str = ""
) -> Iterator[Reference]:
    """Yield the references with an id in a list."""
    for place, one in enumerate(holder.get(name) or ()):
        if isinstance(one.get("id"), str):
            yield Reference(kind, f"{pointer}/{name}/{place}", one["id"])


def check_targets_exist(
    repository: Repository, old: Iterable[Reference], new: Iterable[Reference]
) -> None:
    """Let new references pass that lead to something; one query a kind.

    Nothing is looked up unless the operator wants it (``TMF_CHECK_REFERENCES``).

    Args:
        repository: Where to look.
        old: The references that were there before; what they name is not looked up again.
        new: The references that are to be stored.

    Raises:
        InvalidBody: One leads nowhere; the message has its JSON pointer (HTTP 400).
    """
    if not repository.context.flags.get("check_references"):
        return
    before = {(one.kind, one.id) for one in old}
    wanted: dict[str, list[Reference]] = {}
    for one in new:
        if (one.kind, one.id) not in before:
            wanted.setdefault(one.kind, []).append(one)
    for kind, references in wanted.items():
        ids = sorted({one.id for one in references})
        found = {one["id"] for one in repository.find(kind, {"id": {"$in": ids}}, limit=len(ids))}
        for one in references:
            if one.id not in found:
                raise InvalidBody(f"{one.pointer}/id: there is no {kind} {one.id}")
