"""Changes by clients that read masked values: a mask that comes back leaves the value as it is.

A client without the scope ``pii`` changes the masked form of a resource. The result is merged with
the complete form: parts that are still as the client read them get their values back. Pure, no I/O.
"""

import copy
from collections.abc import Iterator
from typing import Any

from tmf_apis.errors import Forbidden
from tmf_apis.rest.pipeline.policy import Resource
from tmf_apis.security.personal_attributes import MASK, AttributeRules, Leaf
from tmf_apis.store.resources import is_same_json


class SentText(str):
    """A personal text of a client that cannot read the stored one; it differs from every other.

    So the answer to a write does not tell whether the client has guessed the stored text: an equal
    one is a change, too, and is refused where a change is.
    """

    __slots__ = ()

    __hash__ = str.__hash__

    def __eq__(self, other: object) -> bool:
        """Return whether the other object is this one."""
        return self is other

    def __ne__(self, other: object) -> bool:
        """Return whether the other object is not this one."""
        return self is not other


def guessed_texts(rules: AttributeRules, sent: Resource, full: Resource) -> list[str]:
    """Return the personal texts that a client without the scope has sent and that are stored.

    Args:
        rules: The personal attributes of the kind.
        sent: The masked form after the client's change.
        full: The complete form before.
    """
    stored = set(_texts(rules.split(full)[1])) - {MASK}
    return [text for text in _texts(rules.split(sent)[1]) if text in stored]


def with_sent_texts(rules: AttributeRules, resource: Resource, texts: list[str]) -> Resource:
    """Return a resource in which some texts differ from all others.

    Args:
        rules: The personal attributes of the kind.
        resource: The resource, in any form.
        texts: Objects in the resource, known by their identity: an equal text that the client has
            not sent stays as it is.
    """
    sent = {id(text) for text in texts}
    resource = copy.deepcopy(resource)  # the texts are not copied
    for leaf in rules.split(resource)[1]:
        if not sent.isdisjoint(map(id, _texts([leaf]))):
            *steps, last = leaf.pointer
            holder: Any = resource
            for step in steps:
                holder = holder[step]
            holder[last] = _marked(leaf.value, sent)
    return resource


def _texts(leaves: list[Leaf]) -> Iterator[str]:
    for leaf in leaves:
        for value in leaf.value if isinstance(leaf.value, list) else [leaf.value]:
            if isinstance(value, str):
                yield value


def _marked(value: Any, sent: set[int]) -> Any:  # noqa: ANN401
    if isinstance(value, list):
        return [_marked(item, sent) for item in value]
    return SentText(value) if id(value) in sent else value


def unmasked(rules: AttributeRules, after: Resource, masked: Resource, full: Resource) -> Resource:
    """Return a changed resource with the values that its client could not read.

    Args:
        rules: The personal attributes of the kind.
        after: The masked form after the client's change.
        masked: The masked form before.
        full: The complete form before.

    Raises:
        Forbidden: A mask is in a part that was not there before, so its value is unknown (HTTP
            403).
    """
    result: Resource = merged(after, masked, full)
    before = set(_masks(rules, full))
    for pointer in _masks(rules, result):
        if pointer not in before:
            raise Forbidden(
                f"{_text(pointer)}: the value is masked; to move it, the scope pii is needed"
            )
    return result


def refuse_masks(rules: AttributeRules, resource: Resource) -> None:
    """Check that a new resource has no masks of values that its client could not read elsewhere.

    Raises:
        Forbidden: It has one; stored, it would replace the value (HTTP 403).
    """
    if pointer := next(_masks(rules, resource), None):
        raise Forbidden(
            f"{_text(pointer)}: the value is masked; leave it out, or use a token with the scope"
            " pii"
        )


def _masks(rules: AttributeRules, resource: Resource) -> Iterator[tuple[str | int, ...]]:
    """Yield the pointers of the personal texts that are masked."""
    for leaf in rules.split(resource)[1]:
        if MASK in _texts([leaf]):
            yield tuple(leaf.pointer)


def _text(pointer: tuple[str | int, ...]) -> str:
    return "".join(f"/{step}" for step in pointer)


def merged(after: Any, masked: Any, full: Any) -> Any:  # noqa: ANN401
    """Return a changed form with the parts that its client could not read or has not changed.

    Args:
        after: The form that the client read, after its change.
        masked: The form that the client read.
        full: The complete form.
    """
    if is_same_json(after, masked):
        return full
    if isinstance(after, dict) and isinstance(masked, dict):
        # What a version only shows, such as the base of a type, is not stored unless it is changed.
        changed = {
            name: merged(value, masked[name], full[name])
            if name in masked and name in full
            else value
            for name, value in after.items()
            if name in full or name not in masked or not is_same_json(value, masked[name])
        }
        hidden = {name: full[name] for name in full if name not in masked and name not in after}
        return {**changed, **hidden}
    if isinstance(after, list) and isinstance(masked, list):
        return _merged_list(after, masked, full)
    return after


def _merged_list(after: list[Any], masked: list[Any], full: list[Any]) -> list[Any]:
    """Return the items of a list, each merged with the item that it was before."""
    free = dict(enumerate(masked))
    origins: dict[int, int] = {}
    for is_same in (_is_equal_item, _has_same_id):
        for index, item in enumerate(after):
            if index in origins:
                continue
            candidates = [index, *free] if index in free else list(free)
            origin = next((n for n in candidates if is_same(item, free[n])), None)
            if origin is not None:
                origins[index] = origin
                del free[origin]
    if len(after) == len(masked):
        changed = [n for n in range(len(after)) if n not in origins and n in free]
        origins |= {n: n for n in changed if _is_most_similar(after[n], n, free)}
    return [
        merged(item, masked[origins[index]], full[origins[index]]) if index in origins else item
        for index, item in enumerate(after)
    ]


def _is_equal_item(item: Any, before: Any) -> bool:  # noqa: ANN401
    return is_same_json(item, before)


def _has_same_id(item: Any, before: Any) -> bool:  # noqa: ANN401
    if not isinstance(item, dict) or not isinstance(before, dict):
        return False
    return "id" in before and is_same_json(item.get("id"), before["id"])


def _is_most_similar(item: Any, index: int, free: dict[int, Any]) -> bool:  # noqa: ANN401
    """Return whether a changed item has more in common with that at its index than with others."""
    own = _similarity(item, free[index])
    return all(_similarity(item, other) < own for n, other in free.items() if n != index)


def _similarity(item: Any, before: Any) -> int:  # noqa: ANN401
    """Return the number of attributes that two objects have in common."""
    if not isinstance(item, dict) or not isinstance(before, dict):
        return 0
    return sum(name in item and is_same_json(item[name], before[name]) for name in before)
