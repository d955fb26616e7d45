"""The blind index: tokens by which encrypted values are found without decrypting them.

A token is an HMAC of kind, path and value with a key of the tenant. Equal values have equal tokens;
nothing else follows from a token without the key. Names also have tokens of their prefixes.
"""

import unicodedata
from collections.abc import Iterable, Iterator
from typing import Any

import orjson
from bson import Binary

from tmf_apis.security.personal_attributes import Leaf
from tmf_apis.store.data_keys import DataKey

#: Most tokens of one document; further values cannot be found.
MAX_TOKENS = 500
#: The integers that have the token of an integer; they are those that orjson can write.
_INTEGERS = range(-(2**63), 2**64)
#: Shortest and longest prefix of a name that can be found, in characters.
MIN_PREFIX, MAX_PREFIX = 3, 12


def value_token(kind: str, path: str, value: Any, key: DataKey) -> Binary:  # noqa: ANN401
    """Return the token of a value: text, number or boolean.

    A number without a fraction has the token of the integer, unless that is too large to be one.
    """
    if isinstance(value, float) and value.is_integer() and int(value) in _INTEGERS:
        value = int(value)
    return _token(key, kind, path, "=", orjson.dumps(value).decode())


def prefix_token(kind: str, path: str, prefix: str, key: DataKey) -> Binary:
    """Return the token of the beginning of a name, whatever its case."""
    return _token(key, kind, path, "^", _normalized(prefix)[:MAX_PREFIX])


def tokens_of(
    kind: str, leaves: Iterable[Leaf], key: DataKey, *, with_prefixes: bool
) -> list[Binary]:
    """Return the tokens of the personal values of a resource, without repetitions."""
    tokens = dict.fromkeys(_tokens(kind, leaves, key, with_prefixes=with_prefixes))
    return list(tokens)[:MAX_TOKENS]


def is_name(path: str) -> bool:
    """Return whether a path is that of a name, which is found by its beginning, too.

    >>> is_name("engagedParty.name"), is_name("familyName"), is_name("contactMedium.city")
    (True, True, False)
    """
    return path.lower().endswith("name")


def _tokens(
    kind: str, leaves: Iterable[Leaf], key: DataKey, *, with_prefixes: bool
) -> Iterator[Binary]:
    for leaf in leaves:
        path = leaf.path
        for value in leaf.value if isinstance(leaf.value, list) else [leaf.value]:
            yield value_token(kind, path, value, key)
            if with_prefixes and isinstance(value, str) and is_name(path):
                text = _normalized(value)
                for length in range(MIN_PREFIX, min(len(text), MAX_PREFIX) + 1):
                    yield _token(key, kind, path, "^", text[:length])


def _token(key: DataKey, *parts: str) -> Binary:
    return Binary(key.token("\0".join(parts).encode("utf-8", "surrogatepass")))


def _normalized(name: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", name).casefold().split())
