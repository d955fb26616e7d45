"""A contract and documents for tests of queries, and a model of query semantics in Python."""

import operator

from hypothesis import strategies as st

from tmf_apis.rest.query.attributes import QueryableAttributes
from tmf_apis.rest.query.filtering import all_of
from tmf_apis.rest.query.schema_paths import SchemaPaths

CONTRACT = {
    "components": {
        "schemas": {
            "Thing": {
                "type": "object",
                "properties": {
                    "id": {"type": "string"},
                    "href": {"type": "string"},
                    "@type": {"type": "string"},
                    "name": {"type": "string"},
                    "count": {"type": "integer"},
                    "amount": {"type": "number"},
                    "flag": {"type": "boolean"},
                    "since": {"type": "string", "format": "date-time"},
                    "day": {"type": "string", "format": "date"},
                    "tag": {"type": "array", "items": {"type": "string"}},
                    "note": {"type": "array", "items": {"$ref": "#/components/schemas/Note"}},
                    "part": {"$ref": "#/components/schemas/Part"},
                    "characteristic": {
                        "type": "array",
                        "items": {"$ref": "#/components/schemas/Characteristic"},
                    },
                    "child": {"type": "array", "items": {"$ref": "#/components/schemas/Thing"}},
                },
            },
            "Note": {
                "type": "object",
                "properties": {
                    "author": {"type": "string"},
                    "rank": {"type": "integer"},
                    "at": {"type": "string", "format": "date-time"},
                    "regex": {"type": "string"},
                },
            },
            "Part": {
                "type": "object",
                "properties": {
                    "name": {"type": "string"},
                    "size": {"type": "number"},
                    "note": {"type": "array", "items": {"$ref": "#/components/schemas/Note"}},
                },
            },
            "Characteristic": {
                "type": "object",
                "properties": {"name": {"type": "string"}, "value": {}},
            },
        }
    }
}

SCHEMA_PATHS = SchemaPaths(CONTRACT, "Thing")
ATTRIBUTES = QueryableAttributes(type_of=SCHEMA_PATHS.type_of)

TEXTS = ("", "a", "b", "ab", "a b", "x,y", "x;y", 'q"q', "5", "true", "é", "^a", "~a", "=a")
NUMBERS = (-1, 0, 1, 2, 5)
REALS = (-1.5, 0, 1, 2.5, 5.0, 1e20)
TIMES = tuple(f"2026-01-0{day}T00:00:00.{part}Z" for day in (1, 2) for part in ("000", "500"))

_text, _number, _real = st.sampled_from(TEXTS), st.sampled_from(NUMBERS), st.sampled_from(REALS)
_time = st.sampled_from(TIMES)
_note = st.fixed_dictionaries({}, optional={"author": _text, "rank": _number, "at": _time})
_notes = st.lists(_note, max_size=3)
_part = st.fixed_dictionaries({}, optional={"name": _text, "size": _real, "note": _notes})
_any = st.one_of(_text, _number, _real, st.booleans())
_characteristic = st.fixed_dictionaries(
    {}, optional={"name": _text, "value": _any | st.lists(_any, max_size=2)}
)
MEMBERS = {
    "name": _text,
    "count": _number,
    "amount": _real,
    "flag": st.booleans(),
    "since": _time,
    "tag": st.lists(_text, max_size=3),
    "note": _notes,
    "part": _part,
    "characteristic": st.lists(_characteristic, max_size=3),
}
BODIES = st.fixed_dictionaries({}, optional=MEMBERS)


def documents_of(bodies):
    """Return the stored documents of resource bodies; the id is the position of the body."""
    return [
        {"_id": f"t:{number:03}", "tenant": "t", "id": f"{number:03}", "body": body}
        for number, body in enumerate(bodies)
    ]


def matching_ids(collection, bodies, query):
    """Store the bodies as the only documents of a collection; return the positions that match.

    A query that takes more than ten seconds is an error.
    """
    collection.delete_many({})
    collection.insert_many(documents_of(bodies))
    matches = collection.find(all_of({"tenant": "t"}, query), {"id": 1}, max_time_ms=10_000)
    return {int(document["id"]) for document in matches}


def raw_values(value, names):
    """Return the values at a path, which may lead through arrays; a final array is one value."""
    if isinstance(value, list):
        objects = [item for item in value if isinstance(item, dict)]
        return [inner for item in objects for inner in raw_values(item, names)]
    if not names:
        return [value]
    if not isinstance(value, dict) or names[0] not in value:
        return []
    inner = value[names[0]]
    return [inner] if len(names) == 1 else raw_values(inner, names[1:])


def scalar_values(body, path):
    """Return the values at a path, with the elements of an array instead of the array."""
    values = raw_values(body, path.split("."))
    return [item for value in values for item in (value if isinstance(value, list) else [value])]


def has_path(body, path):
    """Return whether a path exists in a body, even with an empty array."""
    return bool(raw_values(body, path.split(".")))


def is_comparable(left, right):
    """Return whether the database would compare two values."""
    if isinstance(left, bool) or isinstance(right, bool):
        return isinstance(left, bool) and isinstance(right, bool)
    return isinstance(left, str) == isinstance(right, str)


COMPARATORS = {
    "eq": operator.eq,
    "gt": operator.gt,
    "gte": operator.ge,
    "lt": operator.lt,
    "lte": operator.le,
}


def is_match(value, comparison, operand):
    """Return whether a value compares to an operand."""
    return is_comparable(value, operand) and COMPARATORS[comparison](value, operand)
