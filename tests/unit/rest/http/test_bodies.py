"""Limits of request bodies: the fast check of most bodies and the exact one agree."""

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tmf_apis.errors import InvalidBody
from tmf_apis.rest.http.bodies import check_limits, parse
from tmf_apis.settings import Settings

SMALL = Settings(depth_limit=4, array_limit=3)
NAMES = st.sampled_from(["a", "b", "value", "$ref", "", 'c"', '":', "d\\"])
NUMBERS = st.sampled_from([0, 2**63 - 1, -(2**63), 1e300, -1e300, 0.5, 2.0**63])
VALUES = st.recursive(
    st.none() | NUMBERS | st.sampled_from(["", "x", '{"a":1}', '"$']),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=12,
)


def message(function, *arguments):
    """Return the message of the error of a call; empty without one."""
    try:
        function(*arguments)
    except InvalidBody as error:
        return error.message
    return ""


@given(st.dictionaries(NAMES, VALUES, max_size=4))
def test_a_body_is_refused_with_the_reason_of_the_exact_check(body):
    assert message(parse, orjson.dumps(body), SMALL) == message(check_limits, body, SMALL)


@pytest.mark.parametrize(
    "raw", [b'{"a":1,"a":2}', b'{"a":{"b":1,"b":1}}', b'{"a":1,"b":"\\u0022:","a":1}']
)
def test_a_duplicate_member_is_refused(raw):
    with pytest.raises(InvalidBody, match="same member twice"):
        parse(raw, SMALL)
