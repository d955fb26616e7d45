"""The forwarding plane of the NETCONF gateway: makes of its running configuration what tc does.

netconfd keeps configuration and does nothing with it. This process asks for notifications, reads
the services whenever something has happened or a second has passed, and shapes the ports. It
speaks NETCONF 1.0 to the server's own subsystem through a pipe and needs nothing but the standard
library. A file beside the server's socket, ``followed()``, says that it has begun.

Source: RFC 6242, section 4.3 (end-of-message framing).
"""

import os
import select
import subprocess
import sys
from pathlib import Path
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

NUDGE = f'<rpc xmlns="{BASE}" message-id="0"><get><filter type="subtree"/></get></rpc>'
#: Seconds until it looks without having been told.
LOOK = 1.0

Wanted = tuple[int, int, bool]  # downstream and upstream in kbit/s, switched on
FREE: Wanted = (0, 0, True)


def followed(socket: str) -> Path:
    """Return the file that says that the server behind a socket is followed."""
    return Path(f"{socket}.followed")


class Server:
    """A session with the server in the same namespace.

    Raises:
        EOFError: The server has gone; so does every method that talks to it.
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
        self._to, self._from = process.stdin.fileno(), process.stdout.fileno()
        self._process = process
        self._received = b""
        self._send(HELLO)
        self._take()

    def wait(self) -> bool:
        """Wait until the server has something to say, for LOOK seconds; return whether it has."""
        return END in self._received or bool(select.select([self._from], [], [], LOOK)[0])

    def call(self, body: str) -> tuple[ET.Element, bool]:
        """Return the reply to a request, and whether notifications came before it."""
        self._send(f'<rpc xmlns="{BASE}" message-id="1">{body}</rpc>')
        news = False
        while True:
            while not self.wait():
                self._send(NUDGE)  # netconfd leaves a request that came with the hello lying
            message = self._take()
            if message.get("message-id") == "1":
                return message, news
            news = news or message.tag != f"{{{BASE}}}rpc-reply"

    def _send(self, text: str) -> None:
        try:
            os.write(self._to, text.encode() + END)
        except BrokenPipeError as error:
            raise EOFError from error

    def _take(self) -> ET.Element:
        while END not in self._received:
            piece = os.read(self._from, 65536)
            if not piece:
                raise EOFError
            self._received += piece
        message, _, self._received = self._received.partition(END)
        return ET.fromstring(message)  # noqa: S314 - our own server


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
    """Follow the server until it ends.

    Raises:
        EOFError: It has.
    """
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
            try:
                make(port, before, after)
                done[port] = after
            except (subprocess.CalledProcessError, OSError) as error:
                sys.stderr.write(f"{error}\n")
                clear(port)
                done[port] = FREE
        followed(socket).touch()
        if not news:
            server.wait()


if __name__ == "__main__":
    try:
        main(sys.argv[1])
    except EOFError:
        sys.exit(0)
