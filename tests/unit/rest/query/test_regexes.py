"""Regular expressions of clients are refused, or match as in Python."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tmf_apis.errors import InvalidQuery
from tmf_apis.rest.query.regexes import safe_pattern


@pytest.mark.parametrize(
    "pattern",
    [
        "(a+)+$", "(a*)*", "(a|a)*b", "(a|ab)*c", "(a?){20}", "(.*a){12}", "a?" * 20 + "a" * 20,
        "a.*b.*c.*d", "(x+x+)+y", "([a-z]+)*$", "(?:a{1,9}){1,9}", "(|a)+", "(a||b)+",
        "(?i)a", "(?P<x>a)", "(?=a)", "(?<!a)b", r"(a)\1", r"\p{L}", r"\Qa\E", "[[:alpha:]]",
        "[a&&b]", "a{,5}", "a{1000}", "a{", "(*UCP)a", "a**", "a++", "(", "[", "\\", r"[\b]",
        "(?", r"\é", "x{999}{999}",
    ],
)  # fmt: skip
def test_a_costly_or_ambiguous_pattern_is_refused(pattern):
    with pytest.raises(InvalidQuery, match="regular expression"):
        safe_pattern(pattern, 256)


def test_a_pattern_is_checked_once():
    assert safe_pattern("^a", 256) is safe_pattern("^a", 256)


@settings(max_examples=300, deadline=None)
@given(pattern=st.text(alphabet="ab.*+?|()[]{}^$\\d12,-", max_size=14))
def test_any_pattern_is_refused_or_matches_as_in_python(pattern):
    try:
        safe = safe_pattern(pattern, 256)
    except InvalidQuery:
        return
    for text in ("", "a", "ab", "aab", "b12", "a\nb", "1-2", "d", "{}"):
        assert bool(re.search(safe, text)) == bool(re.search(pattern, text))
