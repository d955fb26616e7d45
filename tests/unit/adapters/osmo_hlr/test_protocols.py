"""The protocols of OsmoHLR: IPA frames, CTRL, GSUP and VTY."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.osmo_hlr import gsup, ipa, subscriber
from adapters.osmo_hlr.ctrl import CtrlClient, CtrlError, parse_reply
from adapters.osmo_hlr.ipa import Frame, FrameDecoder
from adapters.osmo_hlr.vty import (
    SubscriberRow,
    VtyClient,
    parse_subscribers,
    without_telnet_commands,
)
from adapters.streams import ConnectionFailed


@given(
    st.lists(st.tuples(st.integers(0, 255), st.binary(max_size=300)), max_size=9),
    st.integers(1, 99),
)
def test_frames_are_decoded_from_chunks_of_any_size(pairs, size):
    frames = [Frame(*pair) for pair in pairs]
    octets = b"".join(map(ipa.encode, frames))
    decoder, decoded = FrameDecoder(), []
    for start in range(0, len(octets), size):
        decoded += decoder.feed(octets[start : start + size])
    assert decoded == frames


@given(st.binary(max_size=200))
def test_decoders_accept_arbitrary_octets(octets):
    FrameDecoder().feed(octets)
    gsup.decode(b"\5" + octets)
    parse_subscribers(octets.decode("latin-1"))
    without_telnet_commands(octets)
    subscriber.parse_attributes(octets.decode("latin-1"))
    try:
        parse_reply(Frame(ipa.OSMO, b"\0" + octets), 1)
    except CtrlError:
        assert octets.startswith(b"ERROR 1")


@given(st.binary(max_size=60).map(lambda octets: octets.hex()[:60]))
def test_a_gsup_message_is_decoded_as_it_was_encoded(text):
    message = gsup.Message(8, ((1, text.encode()), (40, b"")))
    assert gsup.decode(gsup.encode(message)) == message


@given(
    st.lists(
        st.builds(
            SubscriberRow,
            st.integers(10**14, 10**15 - 1).map(str),
            st.sampled_from(["", "4917"]),
            st.booleans(),
            st.booleans(),
        ),
        unique_by=lambda row: row.imsi,
    )
)
def test_the_printed_list_of_subscribers_is_parsed(rows):
    lines = [
        f"{number:<5}  {row.msisdn or 'none':<12}  {row.imsi:<16}   -------------    "
        f"{'CS' * row.circuit_switched}{'PS' * row.packet_switched}  "
        for number, row in enumerate(rows, 1)
    ]
    assert parse_subscribers("\r\n".join(lines)) == sorted(rows, key=lambda row: row.imsi)


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@given(st.text(max_size=20))
async def test_a_command_cannot_be_injected(text):
    ctrl = CtrlClient(("127.0.0.1", 1), 0.1)
    with pytest.raises((CtrlError, ConnectionFailed)):
        await ctrl.set("subscriber.create", f"{text} 901700000000001")
    with pytest.raises(ConnectionFailed):
        await VtyClient(("127.0.0.1", 1), 0.1).run(f"{text}\n")
