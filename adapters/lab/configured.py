"""The forwarding plane of the NETCONF gateway: makes of its running configuration what tc does.

netconfd keeps configuration and does nothing with it. This process asks for notifications, reads
the services whenever something has happened, and shapes the ports. It speaks NETCONF 1.0 to the
server's own subsystem through a pipe and needs nothing but the standard library.

Source: RFC 6242, section 4.3 (end-of-message framing).
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from xml.etree import ElementTree as ET

from adapters.lab.agent import divert, mirror, ports, run, shape

BASE = "urn:ietf:params:xml:ns:netconf:base:1.0"
SPACE = "urn:x-tmf-lab:access"
END = b"]]>]]>"
HELLO = (
    f'<hello xmlns="{BASE}"><capabilities><capability>urn:ietf:params:netconf:base:1.0'
    "</capability></capabilities></hello>"
)
SUBSCRIBE = '<create-subscription xmlns="urn:ietf:params:xml:ns:netconf:notification:1.0"/>'
READ = (
    '<get-config><source><running/></source><filter type="subtree">'
    f'<services xmlns="{SPACE}"/></filter></get-config>'
)

Wanted = tuple[int, int, bool]  # downstream and upstream in kbit/s, switched on
FREE: Wanted = (0, 0, True)


class Server:
    """A session with the server in the same namespace."""

    def __init__(self, socket: str, user: str) -> None:
        self._process = subprocess.Popen(  # noqa: S603
            ("/usr/sbin/netconf-subsystem", f"--ncxserver-sockname=830@{socket}"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={"USER": user, "SSH_CONNECTION": "127.0.0.1 1 127.0.0.1 830", "HOME": "/"},
        )
        self._messages = self._receive()
        self._send(HELLO)
        self.take()

    def _send(self, text: str) -> None:
        if self._process.stdin is None:
            raise EOFError
        self._process.stdin.write(text.encode() + END)
        self._process.stdin.flush()

    def _receive(self) -> Iterator[bytes]:
        left = b""
        while self._process.stdout is not None:
            piece = os.read(self._process.stdout.fileno(), 65536)
            if not piece:
                return
            *whole, left = (left + piece).split(END)
            yield from whole

    def take(self) -> ET.Element:
        """Return the next message.

        Raises:
            StopIteration: The server has gone.
        """
        return ET.fromstring(next(self._messages))  # noqa: S314 - our own server

    def call(self, body: str) -> tuple[ET.Element, bool]:
        """Return the reply to a request, and whether notifications came before it."""
        self._send(f'<rpc xmlns="{BASE}" message-id="1">{body}</rpc>')
        news = False
        while (message := self.take()).tag != f"{{{BASE}}}rpc-reply":
            news = True
        return message, news

    def close(self) -> None:
        """End the session."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        if self._process.stdout is not None:
            self._process.stdout.close()
        self._process.terminate()
        self._process.wait(5)


def wanted(reply: ET.Element) -> dict[str, Wanted]:
    """Return port -> how it shall be."""
    return {
        service.findtext(f"{{{SPACE}}}port", ""): (
            int(service.findtext(f"{{{SPACE}}}downstream", "0")),
            int(service.findtext(f"{{{SPACE}}}upstream", "0")),
            service.findtext(f"{{{SPACE}}}enabled", "true") == "true",
        )
        for service in reply.iter(f"{{{SPACE}}}service")
    }


def make(port: str, before: Wanted, after: Wanted) -> None:
    """Change a port from how it was to how it shall be."""
    if before[0] != after[0]:
        shape(port, after[0])
    if before[1] != after[1]:
        shape(divert(port) if after[1] else mirror(port), after[1])
    if before[2] != after[2]:
        run("ip", "link", "set", port, "up" if after[2] else "down")


def clear(port: str) -> None:
    """Set a port free, however somebody who was killed at work has left it."""
    run("tc", "qdisc", "del", "dev", port, "root", check=False)
    run("tc", "qdisc", "del", "dev", port, "ingress", check=False)
    run("ip", "link", "del", mirror(port), check=False)
    run("ip", "link", "set", port, "up")


def main(socket: str) -> None:
    """Follow the server until it ends."""
    for port in ports().values():
        clear(port)
    server = Server(socket, "agent")
    server.call(SUBSCRIBE)
    done: dict[str, Wanted] = {}
    while True:
        reply, news = server.call(READ)
        target = wanted(reply)
        for port in ports().values():
            before, after = done.get(port, FREE), target.get(port, FREE)
            make(port, before, after)
            done[port] = after
        if not news:
            server.take()


if __name__ == "__main__":
    try:
        main(sys.argv[1])
    except StopIteration:
        sys.exit(0)
