"""A log record is one line of JSON, whatever is in it."""

import json
import logging
import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from tmf_apis.json_lines import json_line
from tmf_apis.json_logging import JsonLinesFormatter
from tmf_apis.rest.http.access_log import AccessRecord
from tmf_apis.security.request_origin import RequestOrigin

text = st.text(st.characters(codec=None) | st.sampled_from("\n\x85\u2028\x9b\u202e"))
numbers = st.integers() | st.floats(allow_nan=False, allow_infinity=False)


def is_safe(line):
    """Return whether every reader takes it for one line without commands to a terminal."""
    return len(line.splitlines()) == 1 and not any(
        unicodedata.category(c) in {"Cc", "Cs", "Zl", "Zp"} for c in line
    )


@given(st.dictionaries(text, text | numbers | st.none()))
def test_members_are_one_safe_line_that_keeps_their_values(members):
    line = json_line(members)
    assert is_safe(line)
    assert json.loads(line) == members


@given(text)
def test_a_log_record_and_an_access_record_are_one_safe_line(value):
    record = logging.makeLogRecord({"msg": "%s", "args": (value,), "path": value})
    assert json.loads(JsonLinesFormatter().format(record))["path"] == value
    assert is_safe(JsonLinesFormatter().format(record))
    line = AccessRecord("GET", value, RequestOrigin("1", "127.0.0.1")).line().decode()
    assert line.endswith("\n")
    assert is_safe(line[:-1])
