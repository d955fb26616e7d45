"""Values of characteristics: what is allowed, in which unit, and what becomes of it a level below.

Pure. Numbers are computed with as fractions, so that no bit is lost between two units.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from typing import Any

from tmf_apis.fulfilment.characteristics import objects
from tmf_apis.fulfilment.values import Refused

#: A rate that names no unit is in this one.
RATE = "Mbit/s"
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
_NUMBERS = frozenset({"integer", "number", "decimal", "float", "double", "long", "numeric"})
_TRUTH: Mapping[str, bool] = {"true": True, "false": False}
#: No number of a catalogue is as large as this.
_MOST = 10**30


@dataclass(frozen=True, slots=True)
class Choice:
    """What a characteristic may be.

    Attributes:
        name: Its name.
        where: Whose it is, for messages.
        type: ``number``, ``integer``, ``boolean``, ``text`` or empty (taken as it comes).
        unit: Of its values; empty: of none.
        options: The values that are allowed, in ``unit``; empty: any in the range.
        default: The one that is taken when nobody chooses; None: none.
        low: Least value; None: no limit.
        high: Greatest value; None: no limit.
        required: There has to be a value.
    """

    name: str
    where: str = ""
    type: str = ""
    unit: str = ""
    options: tuple[Any, ...] = ()
    default: Any = None
    low: Fraction | None = None
    high: Fraction | None = None
    required: bool = False

    def take(self, value: Any, unit: str = "") -> Any:  # noqa: ANN401
        """Return a value as the characteristic has it: of its type, in its unit.

        Raises:
            Refused: It is of another type or not allowed.
        """
        made = self._typed(value, unit)
        if self.options and made not in self.options:
            raise Refused(
                f"{self.where} has no {self.name} {_shown(value)}{_of(unit)};"
                f" allowed: {', '.join(map(_shown, self.options))}{_of(self.unit)}"
            )
        if isinstance(made, int | float) and not self._within(made):
            raise Refused(
                f"{self.where}: {self.name} {_shown(made)}{_of(self.unit)} is not"
                f" between {_limit(self.low)} and {_limit(self.high)}"
            )
        return made

    def _within(self, made: float) -> bool:
        above = self.low is None or made >= self.low
        return above and (self.high is None or made <= self.high)

    def _typed(self, value: Any, unit: str) -> Any:  # noqa: ANN401
        if self.type in {"integer", "number"}:
            return self._number(value, unit)
        if self.type == "boolean":
            made = value if isinstance(value, bool) else _TRUTH.get(str(value).lower())
            if made is None:
                raise Refused(f"{self.where}: {self.name} {_shown(value)} is not true or false")
            return made
        return str(value) if self.type == "text" and not isinstance(value, dict | list) else value

    def _number(self, value: Any, unit: str) -> float:  # noqa: ANN401
        if type(value) is int and unit == self.unit:
            return value
        found = number(value)
        if found is None:
            raise Refused(f"{self.where}: {self.name} {_shown(value)}{_of(unit)} is no number")
        try:
            made = found * factor(unit, self.unit)
        except Refused as error:
            raise Refused(f"{self.where}: {self.name} {_shown(value)}: {error}") from None
        if made.denominator == 1:
            return int(made)
        if self.type == "integer":
            raise Refused(
                f"{self.where}: {self.name} {_shown(value)}{_of(unit)} is no whole number"
                f"{' of ' + self.unit if self.unit else ''}"
            )
        return float(made)


@dataclass(frozen=True, slots=True)
class Feed:
    """Where a characteristic has its value from.

    Attributes:
        choice: What it may be.
        level: Number of the level above that it maps from; -1: none.
        of: The characteristic's name there.
        unit: The unit there.
        table: What the values there become; empty: what they are.
        slot: Instead of a level: the resource that it is read from, once there is one.
    """

    choice: Choice
    level: int = -1
    of: str = ""
    unit: str = ""
    table: Mapping[str, Any] = field(default_factory=dict)
    slot: str = ""

    def value(self, levels: list[dict[str, Any]]) -> Any:  # noqa: ANN401
        """Return the value that follows from the levels above; None: there is none.

        Raises:
            Refused: What is above cannot be turned into it, or there is nothing where there has
                to be.
        """
        above = levels[self.level].get(self.of) if self.level >= 0 else None
        if above is not None:
            return self.choice.take(self._translated(above), "" if self.table else self.unit)
        if self.choice.default is None and self.choice.required and not self.slot:
            raise Refused(f"{self.choice.where}: there is no value for {self.choice.name}")
        return self.choice.default

    def _translated(self, above: Any) -> Any:  # noqa: ANN401
        if not self.table:
            return above
        key = _shown(above)
        if key not in self.table:
            raise Refused(
                f"{self.choice.where}: the valueMap of {self.choice.name} has no {key};"
                f" it has {', '.join(self.table)}"
            )
        return self.table[key]


def number(value: Any) -> Fraction | None:  # noqa: ANN401
    """Return a number exactly; None where the value is none.

    >>> number("2.5"), number("fast"), number(True), number("NaN")
    (Fraction(5, 2), None, None, None)
    """
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        found = Decimal(str(value))
    except InvalidOperation:
        return None
    plain = found.is_finite() and abs(found.adjusted()) < len(str(_MOST))
    return Fraction(found) if plain else None


def factor(source: str, target: str) -> Fraction:
    """Return what a number in one unit is multiplied by to be in another.

    One that names no unit is in the unit that is wanted; a rate is in Mbit/s then.

    Raises:
        Refused: The units are not of the same kind.

    >>> factor("Mbit/s", "bit/s"), factor("", "kbit/s"), factor("month", "month")
    (Fraction(1000000, 1), Fraction(1000, 1), Fraction(1, 1))
    """
    one, other = source.lower(), target.lower()
    if other in UNITS and UNITS[other][0] == "rate":
        one = one or RATE.lower()
    if one == other or not one or not other:
        return Fraction(1)
    if one not in UNITS or other not in UNITS:
        unknown = source if one not in UNITS else target
        raise Refused(f"the unit {unknown} is not known")
    if UNITS[one][0] != UNITS[other][0]:
        raise Refused(f"{source} cannot be turned into {target}")
    return UNITS[one][1] / UNITS[other][1]


def described(
    characteristic: Mapping[str, Any], specified: Iterable[Mapping[str, Any]], where: str, unit: str
) -> Choice:
    """Return what a characteristic of a specification may be.

    Args:
        characteristic: Its name, ``valueType`` and ``minCardinality``.
        specified: Its values: ``value``, ``unitOfMeasure``, ``isDefault``, ``valueFrom``,
            ``valueTo``.
        where: Whose it is, for messages.
        unit: Its unit where the values name none.

    Raises:
        Refused: A value is of another type, or its unit is of another kind.
    """
    listed = list(specified)
    found = [one for one in listed if one.get("value") is not None]
    units = [str(one.get("unitOfMeasure") or "") for one in listed]
    unit = next(filter(None, units), unit) if "" not in units else unit or _usual(units)
    choice = Choice(
        name=str(characteristic.get("name")),
        where=where,
        type=_type(str(characteristic.get("valueType") or ""), found, unit),
        unit=unit,
        low=_bound(listed, "valueFrom", min),
        high=_bound(listed, "valueTo", max),
        required=(characteristic.get("minCardinality") or 0) > 0,
    )
    options = tuple(choice.take(o["value"], str(o.get("unitOfMeasure") or unit)) for o in found)
    preferred = [value for value, one in zip(options, found, strict=True) if one.get("isDefault")]
    return Choice(
        **{name: getattr(choice, name) for name in _KEPT},
        options=options,
        default=next(iter(preferred or options), None),
    )


_KEPT = ("name", "where", "type", "unit", "low", "high", "required")


def specified(characteristic: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the values that a specification gives a characteristic, in any of TM Forum's forms."""
    for name in (
        "characteristicValueSpecification",
        "resourceSpecCharacteristicValue",
        "productSpecCharacteristicValue",
    ):
        if found := list(objects(characteristic.get(name))):
            return found
    return []


def _type(named: str, found: list[Mapping[str, Any]], unit: str) -> str:
    kind = named.lower()
    if kind in _NUMBERS:
        return "integer" if kind in {"integer", "long"} else "number"
    if kind in {"boolean", "bool"}:
        return "boolean"
    if kind in {"string", "text"} and unit.lower() not in UNITS:
        return "text"
    numbers = [one["value"] for one in found]
    plain = bool(numbers) and all(
        isinstance(one, int | float) and not isinstance(one, bool) for one in numbers
    )
    return "number" if plain or unit.lower() in UNITS else ""


def _usual(units: list[str]) -> str:
    """Return the unit of values of which some name none."""
    named = [one for one in units if one]
    rates = [one for one in named if UNITS.get(one.lower(), ("",))[0] == "rate"]
    return RATE if rates else (named or [""])[0]


def _bound(listed: list[Mapping[str, Any]], name: str, pick: Any) -> Fraction | None:  # noqa: ANN401
    found = [made for one in listed if (made := number(one.get(name))) is not None]
    return pick(found) if found else None


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _limit(bound: Fraction | None) -> str:
    return "any" if bound is None else f"{float(bound):g}"


def _of(unit: str) -> str:
    return f" {unit}" if unit else ""
