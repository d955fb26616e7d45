"""Parsing and formatting of settings for people."""

import pytest

from tmf_apis.element_cli.units import format_rate, format_setting, parse_setting


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("downstream=1.5G", ("downstream", 1_500_000_000)),
        ("upstream = 64 kbit/s", ("upstream", 64_000)),
        ("downstream=0", ("downstream", 0)),
        ("vlan=100", ("vlan", 100)),
        ('name="100"', ("name", "100")),
        ('label="100M"', ("label", "100M")),
        ("msisdn=491700000000", ("msisdn", "491700000000")),
        ("enabled=Off", ("enabled", False)),
        ("packetSwitched=yes", ("packetSwitched", True)),
        ("profile=gold", ("profile", "gold")),
    ],
)
def test_settings_are_parsed(text, expected):
    assert parse_setting(text) == expected
    assert type(parse_setting(text)[1]) is type(expected[1])


@pytest.mark.parametrize("text", ["downstream=1.5", "=7", "downstream=", "upstream=quick"])
def test_an_invalid_setting_is_refused(text):
    with pytest.raises(ValueError, match="=") as caught:
        parse_setting(text)
    assert text in str(caught.value)


@pytest.mark.parametrize("bits", [1, 999, 1000, 64_000, 1_500_000, 10**9, 123_456_789])
def test_a_formatted_rate_can_be_parsed(bits):
    assert parse_setting(f"downstream={format_rate(bits)}") == ("downstream", bits)
    assert format_setting("vlan", bits) == str(bits)
