"""References to other resources, and the check that their targets exist."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from tmf_apis.errors import Faults, shortened
from tmf_apis.rest.pipeline.policy import Repository


class Reference(NamedTuple):
    """A reference to another resource.

    Attributes:
        kind: The kind of the target.
        pointer: JSON pointer of the reference.
        id: The id of the target.
    """

    kind: str
    pointer: str
    id: str


def reference_at(
    holder: Mapping[str, Any], kind: str, name: str, pointer: str = ""
) -> Iterator[Reference]:
    """Yield the reference in an attribute, if it has an id.

    >>> list(reference_at({"a": {"id": "1"}}, "Thing", "a"))
    [Reference(kind='Thing', pointer='/a', id='1')]
    """
    id = (holder.get(name) or {}).get("id")
    if isinstance(id, str):
        yield Reference(kind, f"{pointer}/{name}", id)


def references_at(
    holder: Mapping[str, Any], kind: str, name: str, pointer: str = ""
) -> Iterator[Reference]:
    """Yield the references with an id in an array."""
    for index, reference in enumerate(holder.get(name) or ()):
        if isinstance(reference.get("id"), str):
            yield Reference(kind, f"{pointer}/{name}/{index}", reference["id"])


def check_targets_exist(
    repository: Repository, old: Iterable[Reference], new: Iterable[Reference]
) -> None:
    """Check that the targets of new references exist, with one query per kind.

    The check is off unless the operator has set ``TMF_CHECK_REFERENCES``.

    Args:
        repository: Sees the targets.
        old: The references before the change; their targets are not looked up again.
        new: The references to be stored.

    Raises:
        InvalidBody: A target does not exist; the message has the JSON pointer (HTTP 400).
    """
    if not repository.context.flags.get("check_references"):
        return
    unchanged = {(reference.kind, reference.id) for reference in old}
    added: dict[str, list[Reference]] = {}
    for reference in new:
        if (reference.kind, reference.id) not in unchanged:
            added.setdefault(reference.kind, []).append(reference)
    faults = Faults()
    for kind, references in added.items():
        ids = sorted({reference.id for reference in references})
        targets = repository.find(kind, {"id": {"$in": ids}}, limit=len(ids))
        existing = {target["id"] for target in targets}
        for reference in references:
            if reference.id not in existing:
                faults.add(f"{reference.pointer}/id: there is no {kind} {shortened(reference.id)}")
    faults.refuse()
