"""The Basic Encoding Rules: values on the wire."""

from adapters.snmp.wire import ber


def test_an_ip_address_is_encoded_in_four_octets():
    assert ber.decode_value(ber.IP_ADDRESS, bytes((127, 0, 0, 1))) == "127.0.0.1"
    assert ber.encode_value(ber.IP_ADDRESS, "127.0.0.1") == b"\x40\x04\x7f\x00\x00\x01"
