"""Documents and a contract for tests of queries, and what queries mean in plain Python."""

from hypothesis import strategies as st

from tmf_apis.rest.query.attributes import QueryableAttributes
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
    """The documents that the bodies are kept as."""
    return [
        {"_id": f"t:{number:03}", "tenant": "t", "id": f"{number:03}", "body": body}
        for number, body in enumerate(bodies)
    ]


def raw_values(value, names):
    """Everything at a path, arrays opened: each value, or an array itself where it is empty."""
    if isinstance(value, list):
        return [one for item in value if isinstance(item, dict) for one in raw_values(item, names)]
    if not names:
        return [value]
    if not isinstance(value, dict) or names[0] not in value:
        return []
    inner = value[names[0]]
    return [inner] if len(names) == 1 else raw_values(inner, names[1:])


def scalar_values(body, path):
    """Every single value at a path, the elements of an array each."""
    seen = raw_values(body, path.split("."))
    return [one for item in seen for one in (item if isinstance(item, list) else [item])]


def has_path(body, path):
    """Whether there is something at a path, an empty array included."""
    return bool(raw_values(body, path.split(".")))


def is_comparable(left, right):
    """Whether the database would compare the two."""
    if isinstance(left, bool) or isinstance(right, bool):
        return isinstance(left, bool) and isinstance(right, bool)
    return isinstance(left, str) == isinstance(right, str)


COMPARATORS = {
    "eq": lambda one, other: one == other,
    "gt": lambda one, other: one > other,
    "gte": lambda one, other: one >= other,
    "lt": lambda one, other: one < other,
    "lte": lambda one, other: one <= other,
}


def is_match(value, operator, operand):
    """Whether one value compares to one wanted."""
    return is_comparable(value, operand) and COMPARATORS[operator](value, operand)
