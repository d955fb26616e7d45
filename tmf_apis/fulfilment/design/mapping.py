"""Values of characteristics: what is allowed, in which unit, and what becomes of it a level below.

Pure. Numbers are computed with as fractions, so that no bit is lost between two units.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from typing import Any

from tmf_apis.errors import Unfulfillable
from tmf_apis.rest.pipeline.json_values import json_objects

#: A rate that names no unit is in this one.
DEFAULT_RATE_UNIT = "Mbit/s"
#: From the unit in lower case to its dimension and how much of the dimension's base it is.
UNITS: Mapping[str, tuple[str, Fraction]] = {
    f"{prefix}{unit}": (dimension, Fraction(10) ** power * base)
    for unit, dimension, base in (
        ("bit/s", "rate", 1),
        ("bps", "rate", 1),
        ("byte", "volume", 1),
        ("b", "volume", 1),
        ("s", "time", 1),
    )
    for prefix, power in {"": 0, "k": 3, "m": 6, "g": 9, "t": 12}.items()
    if dimension != "time"
} | {
    "ms": ("time", Fraction(1, 1000)),
    "s": ("time", Fraction(1)),
    "min": ("time", Fraction(60)),
    "h": ("time", Fraction(3600)),
    "d": ("time", Fraction(86400)),
}
#: Types of which the values are numbers.
_NUMERIC_TYPES = frozenset({"integer", "number", "decimal", "float", "double", "long", "numeric"})
_BOOLEANS: Mapping[str, bool] = {"true": True, "false": False}
#: No number of a catalogue is as large as this.
_MAX_NUMBER = 10**30


@dataclass(frozen=True, slots=True)
class CharacteristicSpecification:
    """What a characteristic may be.

    Attributes:
        name: Its name.
        owner_label: Whose it is, for messages.
        type: ``as_fraction``, ``integer``, ``boolean``, ``text`` or empty (taken as it comes).
        unit: Of its values; empty: of none.
        allowed_values: The values that are allowed, in ``source_unit``; empty: any in the range.
        default: The one that is taken when nobody chooses; None: none.
        minimum: Least value; None: no limit.
        maximum: Greatest value; None: no limit.
        required: There has to be a value.
    """

    name: str
    owner_label: str = ""
    type: str = ""
    unit: str = ""
    allowed_values: tuple[Any, ...] = ()
    default: Any = None
    minimum: Fraction | None = None
    maximum: Fraction | None = None
    required: bool = False

    def normalized_value(self, value: Any, unit: str = "") -> Any:  # noqa: ANN401
        """Return a value as the characteristic has it: of its type, in its unit.

        Raises:
            Refused: It is of another type or not allowed.
        """
        made = self._typed_value(value, unit)
        if self.allowed_values and made not in self.allowed_values:
            raise Unfulfillable(
                f"{self.owner_label} has no {self.name} {_display_text(value)}{_unit_suffix(unit)};"
                f" allowed: {', '.join(map(_display_text, self.allowed_values))}{_unit_suffix(self.unit)}"
            )
        if isinstance(made, int | float) and not self._is_within_range(made):
            raise Unfulfillable(
                f"{self.owner_label}: {self.name} {_display_text(made)}{_unit_suffix(self.unit)} is not"
                f" between {_limit_text(self.minimum)} and {_limit_text(self.maximum)}"
            )
        return made

    def _is_within_range(self, number: float) -> bool:
        above = self.minimum is None or number >= self.minimum
        return above and (self.maximum is None or number <= self.maximum)

    def _typed_value(self, value: Any, unit: str) -> Any:  # noqa: ANN401
        if self.type in {"integer", "number"}:
            return self._number(value, unit)
        if self.type == "boolean":
            made = value if isinstance(value, bool) else _BOOLEANS.get(str(value).lower())
            if made is None:
                raise Unfulfillable(
                    f"{self.owner_label}: {self.name} {_display_text(value)} is not true or false"
                )
            return made
        return str(value) if self.type == "text" and not isinstance(value, dict | list) else value

    def _number(self, value: Any, unit: str) -> float:  # noqa: ANN401
        if type(value) is int and unit == self.unit:
            return value
        found = as_fraction(value)
        if found is None:
            raise Unfulfillable(
                f"{self.owner_label}: {self.name} {_display_text(value)}{_unit_suffix(unit)} is no number"
            )
        try:
            made = found * conversion_factor(unit, self.unit)
        except Unfulfillable as error:
            raise Unfulfillable(
                f"{self.owner_label}: {self.name} {_display_text(value)}: {error}"
            ) from None
        if made.denominator == 1:
            return int(made)
        if self.type == "integer":
            raise Unfulfillable(
                f"{self.owner_label}: {self.name} {_display_text(value)}{_unit_suffix(unit)} is no whole number"
                f"{' of ' + self.unit if self.unit else ''}"
            )
        return float(made)


@dataclass(frozen=True, slots=True)
class CharacteristicMapping:
    """Where a characteristic has its value from.

    Attributes:
        characteristic: What it may be.
        source_node: Number of the level above that it maps from; -1: none.
        source_name: The characteristic's name there.
        source_unit: The unit there.
        value_map: What the values there become; empty: what they are.
        source_slot: Instead of a level: the resource that it is read from, once there is one.
    """

    characteristic: CharacteristicSpecification
    source_node: int = -1
    source_name: str = ""
    source_unit: str = ""
    value_map: Mapping[str, Any] = field(default_factory=dict)
    source_slot: str = ""

    def value(self, characteristics: list[dict[str, Any]]) -> Any:  # noqa: ANN401
        """Return the value that follows from the levels above; None: there is none.

        Raises:
            Refused: What is above cannot be turned into it, or there is nothing where there has
                to be.
        """
        above = (
            characteristics[self.source_node].get(self.source_name)
            if self.source_node >= 0
            else None
        )
        if above is not None:
            return self.characteristic.normalized_value(
                self._mapped_value(above), "" if self.value_map else self.source_unit
            )
        if (
            self.characteristic.default is None
            and self.characteristic.required
            and not self.source_slot
        ):
            raise Unfulfillable(
                f"{self.characteristic.owner_label}: there is no value for {self.characteristic.name}"
            )
        return self.characteristic.default

    def _mapped_value(self, source_value: Any) -> Any:  # noqa: ANN401
        if not self.value_map:
            return source_value
        key = _display_text(source_value)
        if key not in self.value_map:
            raise Unfulfillable(
                f"{self.characteristic.owner_label}: the valueMap of {self.characteristic.name} has no {key};"
                f" it has {', '.join(self.value_map)}"
            )
        return self.value_map[key]


def as_fraction(value: Any) -> Fraction | None:  # noqa: ANN401
    """Return a number exactly; None where the value is none.

    >>> as_fraction("2.5"), as_fraction("fast"), as_fraction(True), as_fraction("NaN")
    (Fraction(5, 2), None, None, None)
    """
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        found = Decimal(str(value))
    except InvalidOperation:
        return None
    plain = found.is_finite() and abs(found.adjusted()) < len(str(_MAX_NUMBER))
    return Fraction(found) if plain else None


def conversion_factor(source: str, target: str) -> Fraction:
    """Return what a number in one unit is multiplied by to be in another.

    One that names no unit is in the unit that is wanted; a rate is in Mbit/s then.

    Raises:
        Refused: The units are not of the same kind.

    >>> conversion_factor("Mbit/s", "bit/s"), conversion_factor("", "kbit/s"), conversion_factor("month", "month")
    (Fraction(1000000, 1), Fraction(1000, 1), Fraction(1, 1))
    """
    one, other = source.lower(), target.lower()
    if other in UNITS and UNITS[other][0] == "rate":
        one = one or DEFAULT_RATE_UNIT.lower()
    if one == other or not one or not other:
        return Fraction(1)
    if one not in UNITS or other not in UNITS:
        unknown = source if one not in UNITS else target
        raise Unfulfillable(f"the unit {unknown} is not known")
    if UNITS[one][0] != UNITS[other][0]:
        raise Unfulfillable(f"{source} cannot be turned into {target}")
    return UNITS[one][1] / UNITS[other][1]


def parse_characteristic(
    characteristic: Mapping[str, Any],
    values: Iterable[Mapping[str, Any]],
    owner_label: str,
    unit: str,
) -> CharacteristicSpecification:
    """Return what a characteristic of a specification may be.

    Args:
        characteristic: Its name, ``valueType`` and ``minCardinality``.
        values: Its values: ``value``, ``unitOfMeasure``, ``isDefault``, ``valueFrom``,
            ``valueTo``.
        owner_label: Whose it is, for messages.
        unit: Its unit where the values name none.

    Raises:
        Refused: A value is of another type, or its unit is of another kind.
    """
    listed = list(values)
    found = [one for one in listed if one.get("value") is not None]
    units = [str(one.get("unitOfMeasure") or "") for one in listed]
    unit = next(filter(None, units), unit) if "" not in units else unit or _default_unit(units)
    choice = CharacteristicSpecification(
        name=str(characteristic.get("name")),
        owner_label=owner_label,
        type=_value_type(str(characteristic.get("valueType") or ""), found, unit),
        unit=unit,
        minimum=_bound(listed, "valueFrom", min),
        maximum=_bound(listed, "valueTo", max),
        required=(characteristic.get("minCardinality") or 0) > 0,
    )
    options = tuple(
        choice.normalized_value(o["value"], str(o.get("unitOfMeasure") or unit)) for o in found
    )
    preferred = [value for value, one in zip(options, found, strict=True) if one.get("isDefault")]
    return CharacteristicSpecification(
        **{name: getattr(choice, name) for name in _COPIED_FIELDS},
        allowed_values=options,
        default=next(iter(preferred or options), None),
    )


_COPIED_FIELDS = ("name", "owner_label", "type", "unit", "minimum", "maximum", "required")


def value_specifications(characteristic: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the values that a specification gives a characteristic, in any of TM Forum's forms."""
    for name in (
        "characteristicValueSpecification",
        "resourceSpecCharacteristicValue",
        "productSpecCharacteristicValue",
    ):
        if found := list(json_objects(characteristic.get(name))):
            return found
    return []


def _value_type(type_name: str, values: list[Mapping[str, Any]], unit: str) -> str:
    kind = type_name.lower()
    if kind in _NUMERIC_TYPES:
        return "integer" if kind in {"integer", "long"} else "number"
    if kind in {"boolean", "bool"}:
        return "boolean"
    if kind in {"string", "text"} and unit.lower() not in UNITS:
        return "text"
    numbers = [one["value"] for one in values]
    plain = bool(numbers) and all(
        isinstance(one, int | float) and not isinstance(one, bool) for one in numbers
    )
    return "number" if plain or unit.lower() in UNITS else ""


def _default_unit(units: list[str]) -> str:
    """Return the unit of values of which some name none."""
    named = [one for one in units if one]
    rates = [one for one in named if UNITS.get(one.lower(), ("",))[0] == "rate"]
    return DEFAULT_RATE_UNIT if rates else (named or [""])[0]


def _bound(values: list[Mapping[str, Any]], name: str, select: Any) -> Fraction | None:  # noqa: ANN401
    found = [made for one in values if (made := as_fraction(one.get(name))) is not None]
    return select(found) if found else None


def _display_text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _limit_text(bound: Fraction | None) -> str:
    return "any" if bound is None else f"{float(bound):g}"


def _unit_suffix(unit: str) -> str:
    return f" {unit}" if unit else ""
