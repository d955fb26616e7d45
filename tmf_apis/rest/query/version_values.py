"""The values of attributes in a version and in the stored form, for queries.

A query compares what its version shows. Where version 4 shows other values than are stored
(``enable`` for ``enabled``), equality compares the stored ones; order and patterns are decided for
each value of the enumeration.
"""

import operator
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from tmf_apis.rest.contracts.spellings import published_spelling
from tmf_apis.rest.query.schema_paths import SchemaPaths
from tmf_apis.rest.views import versions

#: Stored value -> shown value, for all values; empty: any text may be stored.
ShownValues = Mapping[str, str]

_ORDER: Final[Mapping[str, Callable[[str, str], bool]]] = {
    "gt": operator.gt,
    "gte": operator.ge,
    "lt": operator.lt,
    "lte": operator.le,
}


@dataclass(frozen=True, slots=True)
class VersionValues:
    """The values of the attributes of a kind in one version.

    Attributes:
        kind: The stored kind.
        version: "v4" or "v5".
        paths: The attributes in the contract of the version.
        stored_paths: The attributes in the contract of the stored form; None: it has no other.
    """

    kind: str
    version: str
    paths: SchemaPaths
    stored_paths: SchemaPaths | None

    def stored(self, path: str, text: str) -> tuple[str, ...]:
        """Return the stored values of a client's text at a path."""
        text = self.spelling(path, text)
        return versions.stored_values(self.kind, self.version, path, text)

    def spelling(self, path: str, text: str) -> str:
        """Return a client's text at a path in the spelling that the version shows.

        An enumeration of the stored form that is free text in this version has the spelling of the
        stored form, as in the body of a request.
        """
        own = self.paths.type_of(path)
        texts = self._stored_texts(path) if own is not None and not own.texts else ()
        return text if text in texts else published_spelling(text, texts) or text

    def shown_values(self, path: str) -> ShownValues | None:
        """Return the values that the version shows instead of the stored ones; None: the same."""
        return versions.shown_values(self.kind, self.version, path, self._stored_texts(path))

    def _stored_texts(self, path: str) -> frozenset[str]:
        """Return the texts that may be stored at a client's path; empty if any may be."""
        if self.version == "v5" or self.stored_paths is None:
            return frozenset()
        stored = versions.stored_paths(self.kind, self.version, path)
        stored_type = self.stored_paths.type_of(stored[0]) if stored else None
        return stored_type.texts if stored_type else frozenset()


def values_in_order(shown: ShownValues, comparison: str, texts: Iterable[str]) -> list[str]:
    """Return the stored values that are shown as one that is greater or less than a text.

    >>> values_in_order({"enabled": "enable", "disabled": "disable"}, "gt", ["e"])
    ['enabled']
    """
    compare, texts = _ORDER[comparison], list(texts)
    return [old for old, new in shown.items() if any(compare(new, text) for text in texts)]


def values_with_pattern(shown: ShownValues, pattern: str, options: str) -> list[str]:
    """Return the stored values that are shown as one that a checked pattern finds.

    >>> values_with_pattern({"enabled": "enable", "disabled": "disable"}, "LE$", "i")
    ['enabled', 'disabled']
    """
    expression = re.compile(pattern, re.IGNORECASE if "i" in options else 0)
    return [old for old, new in shown.items() if expression.search(new)]
