"""Numbers of JSON: a number keeps its value, or it is refused with its place."""

import json
from decimal import Decimal

import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.support.body_values import paths_to, pointer
from tmf_apis.errors import InvalidBody
from tmf_apis.rest.contracts.numbers import INT64, is_exact
from tmf_apis.rest.http import bodies
from tmf_apis.rest.pipeline.tmf_schema import json_number
from tmf_apis.rest.query.attributes import number_from_text
from tmf_apis.settings import Settings

SETTINGS = Settings()
DIGITS = st.text("0123456789", min_size=1, max_size=24)
NUMBERS = st.builds(
    lambda sign, whole, fraction, exponent: f"{sign}{int(whole)}{fraction}{exponent}",
    st.sampled_from(["", "-"]),
    DIGITS,
    st.one_of(st.just(""), DIGITS.map(lambda digits: f".{digits}")),
    st.one_of(st.just(""), st.integers(-400, 400).map(lambda power: f"e{power}")),
)


@given(NUMBERS)
@example("99999999999999999.99")
@example("0.1000000000000000055")
@example("9007199254740993")
@example("9223372036854775808")
@example("1e-400")
@example("1E+2")
@example("-0.0")
def test_a_number_comes_back_with_its_value_or_is_refused(text):
    try:
        stored = bodies.parse(f'{{"a":{text}}}'.encode(), SETTINGS)["a"]
    except InvalidBody:
        significant = Decimal(text).normalize().as_tuple().digits
        assert len(significant) > 15 or not 1e-290 < abs(Decimal(text)) < Decimal("1e290")
    else:
        assert Decimal(orjson.dumps(stored).decode()) == Decimal(text)
        assert number_from_text(text) == stored


@given(st.lists(NUMBERS, max_size=5), st.text(max_size=30))
def test_the_message_has_the_place_of_the_number(numbers, text):
    value = {text: ["1e-400 99999999999999999.99", {"x": numbers}], "b": {"c": 0.5}}
    raw = json.dumps(value)
    for number in numbers:
        raw = raw.replace(f'"{number}"', number, 1)
    floats = [n for n in numbers if not n.lstrip("-").isdecimal()]
    wrong = next((n for n in floats if not is_exact(n)), None)
    try:
        bodies.parse(raw.encode(), SETTINGS)
    except InvalidBody as error:
        message = error.message
        if "would lose digits" in message:
            place = next(paths_to({text: ["", {"x": numbers}]}, lambda _, v: v == wrong))
            escaped = pointer(tuple(str(p).replace("~", "~0").replace("/", "~1") for p in place))
            assert message.startswith(f"{escaped}: {wrong[:40]} would lose digits; a number has")
    else:
        assert wrong is None


@pytest.mark.parametrize("text", ["NaN", "Infinity", "-Infinity", "1e400", "01", ".5", "+1", "0x1"])
def test_what_json_does_not_have_is_refused(text):
    with pytest.raises(InvalidBody):
        bodies.parse(f'{{"a":{text}}}'.encode(), SETTINGS)


@given(st.decimals(allow_nan=False, allow_infinity=False, places=3))
def test_a_computed_amount_is_exact_or_refused(amount):
    try:
        value = json_number(amount)
    except InvalidBody as error:
        assert "would lose digits" in error.message  # noqa: PT017
        assert not is_exact(f"{amount:f}")
    else:
        assert Decimal(repr(value)) == amount
        assert isinstance(value, float) or value in INT64
