"""An extension type for tests."""

FRUIT = {
    "x-baseType": "ProductOffering",
    "required": ["colour"],
    "properties": {
        "colour": {"type": "string", "enum": ["red", "green"]},
        "weight": {"type": "number"},
        "picked": {"type": "string", "format": "date-time"},
        "box": {"$ref": "#/$defs/Box"},
    },
    "$defs": {"Box": {"type": "object", "properties": {"width": {"type": "integer"}}}},
}
