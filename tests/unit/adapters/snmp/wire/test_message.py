"""Messages of SNMP v2c: encoding and decoding."""

from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.snmp.wire import ber, message
from adapters.snmp.wire.message import Pdu, Variable

VALUES = st.one_of(
    st.tuples(st.just(ber.INTEGER), st.integers(-(2**31), 2**31 - 1)),
    st.tuples(st.sampled_from([ber.COUNTER32, ber.GAUGE32, ber.TIME_TICKS]), st.integers(0, 2**32)),
    st.tuples(st.just(ber.COUNTER64), st.integers(0, 2**64 - 1)),
    st.tuples(st.just(ber.OCTETS), st.binary(max_size=300)),
    st.tuples(st.just(ber.OID), st.just("1.3.6.1.4.1.4294967295.0.127.128")),
    st.tuples(st.just(ber.IP_ADDRESS), st.just("192.0.2.255")),
    st.tuples(st.sampled_from([ber.NULL, ber.NO_SUCH_INSTANCE, ber.END_OF_MIB]), st.none()),
)


@settings(max_examples=200, deadline=None)
@given(st.lists(VALUES, max_size=10))
def test_a_message_that_is_encoded_is_decoded_unchanged(values):
    variables = tuple(
        Variable(f"1.3.6.1.{arc}", tag, value) for arc, (tag, value) in enumerate(values)
    )
    pdu = Pdu(message.RESPONSE, 2**31 - 1, 0, 0, variables)
    _, community, decoded = message.decode_community_message(
        message.encode_community_message(message.V2C, b"c", pdu)
    )
    assert (community, decoded.variables) == (b"c", variables)
