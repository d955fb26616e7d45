"""Values of characteristics: allowed values, units, and mapping from one to another; pure.

Numbers are computed as fractions, so that conversions of units are exact.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from typing import Any

from tmf_apis.errors import Unfulfillable
from tmf_apis.rest.pipeline.json_values import json_objects

#: Unit of a rate that names none.
DEFAULT_RATE_UNIT = "Mbit/s"
#: From a unit in lower case to its dimension and its size in the base unit of the dimension.
UNITS: Mapping[str, tuple[str, Fraction]] = {
    f"{prefix}{unit}": (dimension, Fraction(10) ** power)
    for unit, dimension in (("bit/s", "rate"), ("bps", "rate"), ("byte", "volume"), ("b", "volume"))
    for prefix, power in {"": 0, "k": 3, "m": 6, "g": 9, "t": 12}.items()
} | {
    "ms": ("time", Fraction(1, 1000)),
    "s": ("time", Fraction(1)),
    "min": ("time", Fraction(60)),
    "h": ("time", Fraction(3600)),
    "d": ("time", Fraction(86400)),
}
#: Values of ``valueType`` for numbers.
_NUMERIC_TYPES = frozenset({"integer", "number", "decimal", "float", "double", "long", "numeric"})
_BOOLEANS: Mapping[str, bool] = {"true": True, "false": False}
#: Numbers must be smaller than this.
_MAX_NUMBER = 10**30


@dataclass(frozen=True, slots=True)
class CharacteristicSpecification:
    """The values that a characteristic can have.

    Attributes:
        name: Its name.
        owner_label: Name of its owner, for messages.
        type: ``number``, ``integer``, ``boolean``, ``text`` or empty (values are not converted).
        unit: Unit of its values; empty: none.
        allowed_values: The allowed values, in ``unit``; empty: all values in the range.
        default: The value if none is chosen; None: no value.
        minimum: Smallest value; None: no limit.
        maximum: Largest value; None: no limit.
        required: There must be a value.
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
        """Return a value converted to the type and unit of the characteristic.

        Raises:
            Unfulfillable: The value is of another type or not allowed.
        """
        normalized = self._typed_value(value, unit)
        if self.allowed_values and normalized not in self.allowed_values:
            allowed = ", ".join(map(_display_text, self.allowed_values))
            raise Unfulfillable(
                f"{self.owner_label} has no {self.name} {_display_text(value)}{_unit_suffix(unit)};"
                f" allowed: {allowed}{_unit_suffix(self.unit)}"
            )
        if isinstance(normalized, int | float) and not self._is_within_range(normalized):
            raise Unfulfillable(
                f"{self._label(normalized, self.unit)} is out of range; allowed:"
                f" {_range_text(self.minimum, self.maximum)}{_unit_suffix(self.unit)}"
            )
        return normalized

    def _label(self, value: object, unit: str = "") -> str:
        return f"{self.owner_label}: {self.name} {_display_text(value)}{_unit_suffix(unit)}"

    def _is_within_range(self, number: float) -> bool:
        return (self.minimum is None or number >= self.minimum) and (
            self.maximum is None or number <= self.maximum
        )

    def _typed_value(self, value: Any, unit: str) -> Any:  # noqa: ANN401
        if self.type in {"integer", "number"}:
            return self._number(value, unit)
        if self.type == "boolean":
            boolean = value if isinstance(value, bool) else _BOOLEANS.get(str(value).lower())
            if boolean is None:
                raise Unfulfillable(f"{self._label(value)} is not true or false")
            return boolean
        return str(value) if self.type == "text" and not isinstance(value, dict | list) else value

    def _number(self, value: Any, unit: str) -> float:  # noqa: ANN401
        if type(value) is int and unit == self.unit:
            return value
        exact = as_fraction(value)
        if exact is None:
            raise Unfulfillable(f"{self._label(value, unit)} is not a number")
        try:
            converted = exact * conversion_factor(unit, self.unit)
        except Unfulfillable as error:
            raise Unfulfillable(f"{self._label(value)}: {error}") from None
        if converted.denominator == 1:
            return int(converted)
        if self.type == "integer":
            raise Unfulfillable(
                f"{self._label(value, unit)} is not a whole number"
                f"{' of ' + self.unit if self.unit else ''}"
            )
        return float(converted)


@dataclass(frozen=True, slots=True)
class CharacteristicMapping:
    """The source of the value of a characteristic.

    Attributes:
        characteristic: The characteristic.
        source_node: Number of the node whose characteristic is the source; -1: there is none.
        source_name: Name of the source characteristic.
        source_unit: Unit of the source characteristic.
        value_map: From source values to values; empty: the values are the same.
        source_slot: Instead of a node, the slot of the resource whose characteristic is the source,
            once the resource is allocated.
    """

    characteristic: CharacteristicSpecification
    source_node: int = -1
    source_name: str = ""
    source_unit: str = ""
    value_map: Mapping[str, Any] = field(default_factory=dict)
    source_slot: str = ""

    def value(self, characteristics: Sequence[Mapping[str, Any]]) -> Any:  # noqa: ANN401
        """Return the value; None if there is none.

        Args:
            characteristics: Values by name, by node number.

        Raises:
            Unfulfillable: The source value cannot be converted, or a required value is missing.
        """
        target, source_value = self.characteristic, None
        if self.source_node >= 0:
            source_value = characteristics[self.source_node].get(self.source_name)
        if source_value is not None:
            return target.normalized_value(
                self._mapped_value(source_value), "" if self.value_map else self.source_unit
            )
        if target.default is None and target.required and not self.source_slot:
            raise Unfulfillable(f"{target.owner_label}: there is no value for {target.name}")
        return target.default

    def _mapped_value(self, source_value: Any) -> Any:  # noqa: ANN401
        if not self.value_map:
            return source_value
        key = _display_text(source_value)
        if key not in self.value_map:
            raise Unfulfillable(
                f"{self.characteristic.owner_label}: the valueMap of {self.characteristic.name} has"
                f" no {key}; it has {', '.join(self.value_map)}"
            )
        return self.value_map[key]


def as_fraction(value: Any) -> Fraction | None:  # noqa: ANN401
    """Return the exact value of a number; None if ``value`` is not a number.

    >>> as_fraction("2.5"), as_fraction("fast"), as_fraction(True), as_fraction("NaN")
    (Fraction(5, 2), None, None, None)
    """
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        return None
    is_valid = number.is_finite() and abs(number.adjusted()) < len(str(_MAX_NUMBER))
    return Fraction(number) if is_valid else None


def conversion_factor(source: str, target: str) -> Fraction:
    """Return the factor that converts numbers from one unit to another.

    A missing source unit is Mbit/s if the target is a rate, and otherwise the target unit.

    Raises:
        Unfulfillable: A unit is unknown, or the units have different dimensions.

    >>> conversion_factor("Mbit/s", "bit/s"), conversion_factor("", "kbit/s")
    (Fraction(1000000, 1), Fraction(1000, 1))
    >>> conversion_factor("month", "month")
    Fraction(1, 1)
    """
    source_unit, target_unit = source.lower(), target.lower()
    if target_unit in UNITS and UNITS[target_unit][0] == "rate":
        source_unit = source_unit or DEFAULT_RATE_UNIT.lower()
    if source_unit == target_unit or not source_unit or not target_unit:
        return Fraction(1)
    if source_unit not in UNITS or target_unit not in UNITS:
        unknown = source if source_unit not in UNITS else target
        raise Unfulfillable(f"the unit {unknown} is unknown")
    source_dimension, source_size = UNITS[source_unit]
    target_dimension, target_size = UNITS[target_unit]
    if source_dimension != target_dimension:
        raise Unfulfillable(f"{source} cannot be converted into {target}")
    return source_size / target_size


def parse_characteristic(
    characteristic: Mapping[str, Any],
    values: Iterable[Mapping[str, Any]],
    owner_label: str,
    unit: str,
) -> CharacteristicSpecification:
    """Return a characteristic of a specification.

    Args:
        characteristic: Has ``name``, ``valueType`` and ``minCardinality``.
        values: Have ``value``, ``unitOfMeasure``, ``isDefault``, ``valueFrom`` and ``valueTo``.
        owner_label: Name of the owner, for messages.
        unit: Unit of the characteristic if the values name none.

    Raises:
        Unfulfillable: A value is of another type, or its unit has another dimension.
    """
    all_values = list(values)
    listed = [value for value in all_values if value.get("value") is not None]
    unit = _unit(all_values, unit)
    free = CharacteristicSpecification(
        name=str(characteristic.get("name")),
        owner_label=owner_label,
        type=_value_type(str(characteristic.get("valueType") or ""), listed, unit),
        unit=unit,
        minimum=_bound(all_values, "valueFrom", min),
        maximum=_bound(all_values, "valueTo", max),
        required=(characteristic.get("minCardinality") or 0) > 0,
    )
    allowed_values = tuple(
        free.normalized_value(value["value"], str(value.get("unitOfMeasure") or unit))
        for value in listed
    )
    defaults = [
        normalized
        for normalized, value in zip(allowed_values, listed, strict=True)
        if value.get("isDefault")
    ]
    return replace(
        free,
        allowed_values=allowed_values,
        default=next(iter(defaults or allowed_values), None),
    )


def value_specifications(characteristic: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the values that a specification gives a characteristic, in any form of TM Forum."""
    for name in (
        "characteristicValueSpecification",
        "resourceSpecCharacteristicValue",
        "productSpecCharacteristicValue",
    ):
        if values := list(json_objects(characteristic.get(name))):
            return values
    return []


def _unit(values: list[Mapping[str, Any]], unit: str) -> str:
    """Return the unit of a characteristic with some values; ``unit`` if the values name none.

    If only some values name a unit and ``unit`` is empty, a rate is in the default unit.
    """
    units = [str(value.get("unitOfMeasure") or "") for value in values]
    named = list(filter(None, units))
    if len(named) == len(units):
        return (named or [unit])[0]
    if unit:
        return unit
    is_rate = any(UNITS.get(name.lower(), ("",))[0] == "rate" for name in named)
    return DEFAULT_RATE_UNIT if is_rate else (named or [""])[0]


def _value_type(type_name: str, values: list[Mapping[str, Any]], unit: str) -> str:
    """Return the type of a characteristic, from its ``valueType`` or from its values and unit."""
    kind = type_name.lower()
    if kind in _NUMERIC_TYPES:
        return "integer" if kind in {"integer", "long"} else "number"
    if kind in {"boolean", "bool"}:
        return "boolean"
    has_known_unit = unit.lower() in UNITS
    if kind in {"string", "text"} and not has_known_unit:
        return "text"
    all_numbers = bool(values) and all(
        isinstance(value["value"], int | float) and not isinstance(value["value"], bool)
        for value in values
    )
    return "number" if all_numbers or has_known_unit else ""


def _bound(
    values: list[Mapping[str, Any]], name: str, select: Callable[[list[Fraction]], Fraction]
) -> Fraction | None:
    bounds = [bound for value in values if (bound := as_fraction(value.get(name))) is not None]
    return select(bounds) if bounds else None


def _display_text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _range_text(minimum: Fraction | None, maximum: Fraction | None) -> str:
    bounds = (("at least", minimum), ("at most", maximum))
    return ", ".join(f"{word} {float(bound):g}" for word, bound in bounds if bound is not None)


def _unit_suffix(unit: str) -> str:
    return f" {unit}" if unit else ""
