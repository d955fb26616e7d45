"""Encoded notifications of elements, and credentials for them."""

import asyncio

from adapters import condition_types
from adapters.snmp import mib
from adapters.snmp.wire import ber, message
from adapters.snmp.wire.message import Pdu, Variable

SOURCE = "127.0.0.1"
SECRET = {
    "user": "trapusr",
    "auth": "SHA",
    "auth_password": "authpass12",
    "priv": "AES",
    "priv_password": "privpass12",
}


def link_down(tag=message.TRAP, *more):
    head = (
        Variable(mib.SYS_UP_TIME, ber.TIME_TICKS, 4242),
        Variable(mib.SNMP_TRAP_OID, ber.OID, condition_types.LINK_DOWN),
        Variable(f"{mib.IF_INDEX}.3", ber.INTEGER, 3),
        Variable(f"{mib.IF_DESCR}.3", ber.OCTETS, b"sub1"),
    )
    return Pdu(tag, 7, variables=head + more)


def v2c(pdu=None, community=b"public"):
    return message.encode_community_message(message.V2C, community, pdu or link_down())


def v1(generic, specific):
    """Return a v1 trap."""
    variable = ber.encode_object_id(f"{mib.IF_INDEX}.3") + ber.encode_integer(3)
    body = (
        ber.encode_object_id("1.3.6.1.4.1.8072.3.2.10")
        + ber.encode_value(ber.IP_ADDRESS, "192.0.2.1")
        + ber.encode_integer(generic)
        + ber.encode_integer(specific)
        + ber.encode_integer(100, ber.TIME_TICKS)
        + ber.encode_tlv(ber.SEQUENCE, ber.encode_tlv(ber.SEQUENCE, variable))
    )
    return ber.encode_tlv(
        ber.SEQUENCE,
        ber.encode_integer(message.V1)
        + ber.encode_tlv(ber.OCTETS, b"public")
        + ber.encode_tlv(message.TRAP_V1, body),
    )


async def wait_for_count(receiver, total):
    for _ in range(3000):
        if receiver.counts.total() == total:
            break
        await asyncio.sleep(0.01)
