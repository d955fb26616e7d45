"""Spellings of the values of an enumeration: ``OUT_OF_SERVICE`` is ``outOfService``."""

from collections.abc import Iterable


def published_spelling(text: object, values: Iterable[object]) -> str | None:
    """Return the value of an enumeration with the letters of a text; None if there is none.

    >>> published_spelling("OUT_OF_SERVICE", ["inService", "outOfService"])
    'outOfService'
    """
    letters = _letters(text)
    return next((str(value) for value in values if letters and _letters(value) == letters), None)


def _letters(text: object) -> str:
    """Return the letters and digits of a text in lower case."""
    return "".join(filter(str.isalnum, text)).lower() if isinstance(text, str) else ""
