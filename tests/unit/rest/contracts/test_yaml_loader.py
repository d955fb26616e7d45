"""The YAML loader of the contracts: equal to PyYAML's safe loader."""

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tests.support.paths import OPENAPI
from tmf_apis.rest.contracts.yaml_loader import load_yaml

SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
VALUES = st.recursive(
    SCALARS | st.dates() | st.datetimes(),
    lambda inner: st.lists(inner) | st.dictionaries(SCALARS, inner),
)


@pytest.mark.parametrize("file", sorted(OPENAPI.glob("*.yaml")), ids=lambda file: file.stem)
def test_a_contract_is_what_the_safe_loader_makes_of_it(file):
    text = file.read_bytes()
    assert load_yaml(text) == yaml.load(text, yaml.CSafeLoader)


@given(VALUES, st.booleans(), st.sampled_from([None, '"', "'", "|", ">"]))
def test_every_document_is_what_the_safe_loader_makes_of_it(value, is_flow, style):
    text = yaml.safe_dump(
        value, default_flow_style=is_flow, default_style=style, allow_unicode=True
    ).encode()
    assert repr(load_yaml(text)) == repr(yaml.load(text, yaml.CSafeLoader))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "~",
        "- &a {x: 1}\n- *a\n- {<<: *a, y: 2}",
        "a: !!str 1",
        "!!set {a, b}",
        "{a: 1, a: 2}",
        "<<: {a: 1}",
        "'<<': {a: 1}",
        "b: yes\nc: 0o7\nd: 1_000\ne: 2001-01-01\nf: .inf\ng: 012\nh: 1:30",
        "? 1\n: 2\n? ~\n: 3",
    ],
)
def test_unusual_yaml_is_what_the_safe_loader_makes_of_it(text):
    assert load_yaml(text.encode()) == yaml.load(text.encode(), yaml.CSafeLoader)


@pytest.mark.parametrize(
    "text",
    ["a: [", "a: *b", "--- 1\n--- 2", "? [1]\n: 2", "? {}\n: 2", "a: =", "!!python/none ", "\x00"],
)
def test_text_that_the_safe_loader_refuses_is_refused(text):
    with pytest.raises(yaml.YAMLError):
        yaml.load(text.encode(), yaml.CSafeLoader)
    with pytest.raises(yaml.YAMLError):
        load_yaml(text.encode())
