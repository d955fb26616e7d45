"""The forwarding plane of the NETCONF gateway: applies the running configuration with tc.

netconfd stores configuration, but does not apply it. This process subscribes to notifications,
reads the services after each notification and at least once a second, and shapes the ports. It
speaks NETCONF 1.0 to the subsystem of the server through a pipe, and needs nothing but the standard
library. It creates ``ready_file`` beside the socket of the server once it has read the services.

Source: RFC 6242, section 4.3 (end-of-message framing).
"""

import os
import select
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

from adapters.lab.agent import access_ports, ifb_device, limit_rate, redirect_ingress, run

BASE_NAMESPACE = "urn:ietf:params:xml:ns:netconf:base:1.0"
ACCESS_NAMESPACE = "urn:x-tmf-lab:access"
END_OF_MESSAGE = b"]]>]]>"
HELLO = (
    f'<hello xmlns="{BASE_NAMESPACE}"><capabilities><capability>urn:ietf:params:netconf:base:1.0'
    "</capability></capabilities></hello>"
)
CREATE_SUBSCRIPTION = (
    '<create-subscription xmlns="urn:ietf:params:xml:ns:netconf:notification:1.0"/>'
)
GET_CONFIG = (
    '<get-config><source><running/></source><filter type="subtree">'
    f'<services xmlns="{ACCESS_NAMESPACE}"/></filter></get-config>'
)
EMPTY_GET = (
    f'<rpc xmlns="{BASE_NAMESPACE}" message-id="0"><get><filter type="subtree"/></get></rpc>'
)
#: Longest pause between two reads of the services, in seconds.
POLL_INTERVAL = 1.0

PortSettings = tuple[int, int, bool]  # downstream and upstream in kbit/s, enabled
DEFAULT_SETTINGS: PortSettings = (0, 0, True)


def ready_file(socket: str) -> Path:
    """Return the file whose existence shows that the configuration is being applied."""
    return Path(f"{socket}.ready")


class NetconfSession:
    """A session with the server in the same namespace.

    Raises:
        EOFError: The server has ended; its methods raise this error, too.
    """

    def __init__(self, socket: str, user: str) -> None:
        process = subprocess.Popen(  # noqa: S603
            ("/usr/sbin/netconf-subsystem", f"--ncxserver-sockname=830@{socket}"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={"USER": user, "SSH_CONNECTION": "127.0.0.1 1 127.0.0.1 830", "HOME": "/"},
        )
        if process.stdin is None or process.stdout is None:
            raise EOFError
        self._input, self._output = process.stdin.fileno(), process.stdout.fileno()
        self._process = process
        self._received = b""
        self._send(HELLO)
        self._receive()

    def wait_for_message(self) -> bool:
        """Wait ``POLL_INTERVAL`` seconds for a message; return whether there is one."""
        return END_OF_MESSAGE in self._received or bool(
            select.select([self._output], [], [], POLL_INTERVAL)[0]
        )

    def call(self, body: str) -> tuple[ET.Element, bool]:
        """Return the reply to a request, and whether notifications arrived before it."""
        self._send(f'<rpc xmlns="{BASE_NAMESPACE}" message-id="1">{body}</rpc>')
        is_notified = False
        while True:
            while not self.wait_for_message():
                # netconfd does not process a request that it reads together with the hello
                self._send(EMPTY_GET)
            message = self._receive()
            if message.get("message-id") == "1":
                return message, is_notified
            is_notified = is_notified or message.tag != f"{{{BASE_NAMESPACE}}}rpc-reply"

    def _send(self, text: str) -> None:
        try:
            os.write(self._input, text.encode() + END_OF_MESSAGE)
        except BrokenPipeError as error:
            raise EOFError from error

    def _receive(self) -> ET.Element:
        while END_OF_MESSAGE not in self._received:
            chunk = os.read(self._output, 65536)
            if not chunk:
                raise EOFError
            self._received += chunk
        message, _, self._received = self._received.partition(END_OF_MESSAGE)
        return ET.fromstring(message)  # noqa: S314 - our own server


def desired_settings(reply: ET.Element) -> dict[str, PortSettings]:
    """Return the settings of the configured services, by port."""
    return {
        service.findtext(f"{{{ACCESS_NAMESPACE}}}port", ""): (
            int(service.findtext(f"{{{ACCESS_NAMESPACE}}}downstream", "0")),
            int(service.findtext(f"{{{ACCESS_NAMESPACE}}}upstream", "0")),
            service.findtext(f"{{{ACCESS_NAMESPACE}}}enabled", "true") == "true",
        )
        for service in reply.iter(f"{{{ACCESS_NAMESPACE}}}service")
    }


def apply_settings(port: str, before: PortSettings, after: PortSettings) -> None:
    """Apply the settings of a port that differ from those before."""
    if before[0] != after[0]:
        limit_rate(port, after[0])
    if before[1] != after[1]:
        limit_rate(redirect_ingress(port) if after[1] else ifb_device(port), after[1])
    if before[2] != after[2]:
        run("ip", "link", "set", port, "up" if after[2] else "down")


def reset_port(port: str) -> None:
    """Remove all limits of a port, in whatever state a killed process has left it."""
    run("tc", "qdisc", "del", "dev", port, "root", check=False)
    run("tc", "qdisc", "del", "dev", port, "ingress", check=False)
    run("ip", "link", "del", ifb_device(port), check=False)
    run("ip", "link", "set", port, "up")


def main(socket: str) -> None:
    """Apply the configuration of the server until the server ends.

    Raises:
        EOFError: The server has ended.
    """
    for port in access_ports().values():
        reset_port(port)
    server = NetconfSession(socket, "agent")
    server.call(CREATE_SUBSCRIPTION)
    applied: dict[str, PortSettings] = {}
    while True:
        reply, is_notified = server.call(GET_CONFIG)
        target = desired_settings(reply)
        for port in access_ports().values():
            before = applied.get(port, DEFAULT_SETTINGS)
            after = target.get(port, DEFAULT_SETTINGS)
            try:
                apply_settings(port, before, after)
                applied[port] = after
            except (subprocess.CalledProcessError, OSError) as error:
                sys.stderr.write(f"{error}\n")
                reset_port(port)
                applied[port] = DEFAULT_SETTINGS
        ready_file(socket).touch()
        if not is_notified:
            server.wait_for_message()


if __name__ == "__main__":
    try:
        main(sys.argv[1])
    except EOFError:
        sys.exit(0)
