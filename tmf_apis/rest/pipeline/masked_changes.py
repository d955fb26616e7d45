"""Changes by clients that read masked values: a mask that comes back leaves the value as it is.

A client without the scope ``pii`` changes the masked form of a resource. The result is merged with
the complete form: parts that are still as the client read them get their values back. Pure, no I/O.
"""

from typing import Any

from tmf_apis.errors import Forbidden
from tmf_apis.rest.pipeline.policy import Resource
from tmf_apis.security.personal_attributes import MASK, AttributeRules
from tmf_apis.store.resources import is_same_json


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
    result: Resource = _merged(after, masked, full)
    before = {tuple(leaf.pointer) for leaf in rules.split(full)[1] if leaf.value == MASK}
    for leaf in rules.split(result)[1]:
        if leaf.value == MASK and tuple(leaf.pointer) not in before:
            pointer = "".join(f"/{step}" for step in leaf.pointer)
            raise Forbidden(f"{pointer}: the value is masked; to move it, the scope pii is needed")
    return result


def _merged(after: Any, masked: Any, full: Any) -> Any:  # noqa: ANN401
    if is_same_json(after, masked):
        return full
    if isinstance(after, dict) and isinstance(masked, dict):
        merged = {
            name: _merged(value, masked[name], full[name]) if name in masked else value
            for name, value in after.items()
        }
        hidden = {name: full[name] for name in full if name not in masked and name not in after}
        return {**merged, **hidden}
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
        origins |= {n: n for n in range(len(after)) if n not in origins and n in free}
    return [
        _merged(item, masked[origins[index]], full[origins[index]]) if index in origins else item
        for index, item in enumerate(after)
    ]


def _is_equal_item(item: Any, before: Any) -> bool:  # noqa: ANN401
    return is_same_json(item, before)


def _has_same_id(item: Any, before: Any) -> bool:  # noqa: ANN401
    if not isinstance(item, dict) or not isinstance(before, dict):
        return False
    return "id" in before and is_same_json(item.get("id"), before["id"])
