"""An SNMP agent that plays a captured walk in the format of snmprec, also with faults."""

import asyncio
from collections.abc import Callable
from dataclasses import replace

from adapters.snmp.wire import ber, message
from adapters.snmp.wire.agent import respond
from adapters.snmp.wire.ber import Malformed, split_object_id
from adapters.values import Target

#: Tags of octet strings that a capture may have.
TEXT_TAGS = {4, 0x44}


def parse_walk(text):
    """Return the variables of a capture, ordered: lines ``oid|tag|value``, ``x`` for octets."""
    view = {}
    for line in filter(None, map(str.strip, text.splitlines())):
        oid, tag, value = line.split("|", 2)
        is_hex = tag.endswith("x")
        number = int(tag.removesuffix("x").split(":")[0])
        oid = oid.strip(".")
        if number in TEXT_TAGS:
            content = bytes.fromhex(value) if is_hex else value.encode()
        elif number in {6, 0x40}:
            content = value.strip(".")
        elif number in ber.NO_VALUE_TAGS:
            content = None
        else:
            content = int(value)
        view[split_object_id(oid)] = (number, content)
    return {oid: view[oid] for oid in sorted(view)}


class WalkPlayer(asyncio.DatagramProtocol):
    """An agent on loopback; an asynchronous context manager.

    Attributes:
        view: The variables: arcs -> tag and value; a test may change them.
        edit: Changes a response before it is encoded: request, response -> response.
        encode: Encodes a response message; a test may damage it.
    """

    def __init__(self, walk, name="played", address="127.0.0.1", port=0):
        self.view = parse_walk(walk)
        self.name, self.address, self.port = name, address, port
        self.edit: Callable = lambda request, response: response
        self.encode: Callable = lambda octets, request: octets
        self.request_count = 0

    async def __aenter__(self):
        self._transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
            lambda: self, local_addr=(self.address, self.port)
        )
        self.port = self._transport.get_extra_info("sockname")[1]
        return self

    async def __aexit__(self, *_):
        self._transport.close()
        await asyncio.sleep(0)

    @property
    def target(self):
        """The target; its community is "public"."""
        options = {"timeout": "1", "retries": "0"}
        return Target(self.name, f"{self.address}:{self.port}", "snmp", "", options)

    def datagram_received(self, octets, source):
        try:
            version, community, request = message.decode_community_message(octets)
        except Malformed:
            return
        self.request_count += 1
        response = respond(request, self.view, lambda variable: 17)
        response = self.edit(request, response)
        if response is None:
            return
        answer = message.encode_community_message(version, community, response)
        self._transport.sendto(self.encode(answer, request), source)


def error(response, request, status, index=0):
    """Return a response that refuses a request."""
    return replace(response, variables=request.variables, error_status=status, error_index=index)
