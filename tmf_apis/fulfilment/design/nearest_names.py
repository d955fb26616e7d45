"""The known name that a misspelt or abbreviated one probably stands for; pure."""

from collections.abc import Iterable

from tmf_apis.rest.query.unknown_attributes import suggestion

#: Shortest beginning that two names must have in common.
_SHORTEST_BEGINNING = 3


def question(name: str, known: Iterable[str]) -> str:
    """Return the question for the nearest known name; empty if none is near.

    A name is near if it is similar, or begins like the other.

    >>> question("downstrem", ["downstream", "upstream"]), question("downn", ["upstream"])
    ('; did you mean downstream?', '')
    >>> question("downn", ["downstream", "upstream"])
    '; did you mean downstream?'
    """
    names = sorted(known)
    if similar := suggestion(name, names):
        return similar
    lengths = {each: _common_length(each.lower(), name.lower()) for each in names}
    nearest = max(names, key=lengths.__getitem__, default="")
    is_near = nearest and lengths[nearest] >= _SHORTEST_BEGINNING
    return f"; did you mean {nearest}?" if is_near else ""


def _common_length(first: str, second: str) -> int:
    """Return the length of the beginning that two texts have in common."""
    pairs = enumerate(zip(first, second, strict=False))
    return next((index for index, (a, b) in pairs if a != b), min(len(first), len(second)))
