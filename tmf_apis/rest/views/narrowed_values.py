"""Values of version 5 that version 4 does not have, and those that it shows instead.

Unlike the transforms, this is no bijection: ``draft`` and ``acknowledged`` are both
``acknowledged`` in version 4. A client that sends the value back unchanged leaves the stored one.
"""

from collections.abc import Iterable, Mapping
from itertools import groupby
from typing import Final

Path = tuple[str, ...]

#: Kind -> path of the attribute -> value of version 5 -> value of version 4. The path has no
#: positions in lists, and a part of the same name as its holder (an item of an item) once.
NARROWED_VALUES: Final[Mapping[str, Mapping[Path, Mapping[str, str]]]] = {
    "ProductOrder": {
        ("state",): {"draft": "acknowledged", "inProgress.accepted": "inProgress"},
        # A part of what was ordered is missing.
        ("productOrderItem", "state"): {"partial": "failed"},
    },
    "CancelProductOrder": {
        ("state",): {"rejected": "terminatedWithError", "cancelled": "terminatedWithError"}
    },
}


def narrowed_value(kind: str, path: Iterable[str | int], value: object) -> str | None:
    """Return the value that version 4 shows instead of one; None if there is no such value.

    >>> narrowed_value("ProductOrder", ["productOrderItem", 0, "state"], "partial")
    'failed'
    """
    if not isinstance(value, str):
        return None
    return _table(kind, [part for part in path if isinstance(part, str)]).get(value)


def widened_values(kind: str, path: str, value: str) -> tuple[str, ...]:
    """Return the stored values that version 4 shows as a value.

    >>> widened_values("ProductOrder", "state", "acknowledged")
    ('acknowledged', 'draft')
    >>> widened_values("ProductOrder", "state", "draft")
    ()
    """
    table = _table(kind, path.split("."))
    own = () if value in table else (value,)
    return (*own, *(stored for stored, shown in table.items() if shown == value))


def _table(kind: str, path: Iterable[str]) -> Mapping[str, str]:
    if (tables := NARROWED_VALUES.get(kind)) is None:
        return {}
    return tables.get(tuple(name for name, _ in groupby(path)), {})
