"""The blocking half of a NETCONF session: SSH (RFC 6242) and the client library's receiver."""

import socket
import threading
from collections.abc import Callable
from typing import Any

import paramiko
from lxml import etree
from netconf_client.error import NetconfClientException
from netconf_client.session import Session as Library

from adapters.errors import Misconfigured, Rejected, Unreachable
from adapters.netconf.identity import Identity, fingerprint

#: Octets of one message. A greater one is not the answer to anything that we ask.
MESSAGE_LIMIT = 16 * 1024 * 1024
CHUNK = 65536
KEEPALIVE_INTERVAL = 30  # seconds


def hardened_parser() -> etree.XMLParser:
    """Return a parser for what strangers send: nothing is expanded, fetched or endless."""
    return etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)


class SshChannel:
    """The SSH channel as the library wants it; refuses messages without an end."""

    def __init__(self, transport: paramiko.Transport, channel: paramiko.Channel) -> None:
        self._transport, self._channel = transport, channel
        self._received = 0

    def begin_message(self) -> None:
        """Note that a message ended here."""
        self._received = 0

    def recv(self, _: int) -> bytes:
        """Return what has come; empty at the end.

        Raises:
            EOFError: A message has no end.
        """
        piece: bytes = self._channel.recv(CHUNK)
        self._received += len(piece)
        if self._received > MESSAGE_LIMIT:
            raise EOFError(f"a message of more than {MESSAGE_LIMIT} octets")
        return piece

    def sendall(self, octets: bytes) -> None:
        """Send everything."""
        self._channel.sendall(octets)

    def close(self) -> None:
        """Close channel and connection."""
        self._channel.close()
        self._transport.close()


class _MessageParser:
    """The library's parser, which tells the wire where a message begins."""

    def __init__(self, parser: Any, channel: SshChannel) -> None:  # noqa: ANN401 - a generator of theirs
        self._parser, self._channel = parser, channel

    def send(self, mode: str) -> bytes:
        self._channel.begin_message()
        message: bytes = self._parser.send(mode)
        return message


class NetconfLink(Library):  # type: ignore[misc]  # the library has no types
    """A session of the library's that notices its end at once.

    The library (3.6) leaves whoever waits for a reply waiting when the connection goes.

    Attributes:
        ended: Set when nothing comes any more.
        on_end: Called then, in the receiver's thread.
    """

    def __init__(self, channel: SshChannel) -> None:
        self.ended = threading.Event()
        self.on_end: Callable[[], None] = lambda: None
        super().__init__(channel)

    def _recv_loop(self) -> None:
        etree.set_default_parser(hardened_parser())  # of this thread
        self.parser: Any = _MessageParser(self.parser, self.sock)
        try:
            super()._recv_loop()
        finally:
            self.ended.set()
            self.close()
            self.on_end()


def connect(
    element: str, endpoint: tuple[str, int], identity: Identity, timeout: float
) -> NetconfLink:
    """Open a session; blocks.

    Args:
        element: Name of the element.
        endpoint: Host and port.
        identity: Who we are and whom we expect.
        timeout: Longest wait for each step, in seconds.

    Raises:
        Unreachable: Nobody answers, or not with SSH and NETCONF.
        Rejected: It does not let us in.
        Misconfigured: It is not the host whose key we know, or we know none.
    """
    host, port = endpoint
    try:
        plain = socket.create_connection(endpoint, timeout)
    except OSError as error:
        raise Unreachable(element, f"no answer from {host}:{port}: {error}") from error
    try:
        transport = paramiko.Transport(plain)
    except (paramiko.SSHException, OSError) as error:
        plain.close()
        raise Unreachable(element, f"no SSH at {host}:{port}: {error}") from error
    try:
        return _open_netconf(element, transport, identity, timeout)
    except BaseException:
        transport.close()
        raise


def _open_netconf(
    element: str, transport: paramiko.Transport, identity: Identity, timeout: float
) -> NetconfLink:
    transport.banner_timeout = transport.handshake_timeout = timeout
    transport.auth_timeout = transport.channel_timeout = timeout
    try:
        transport.start_client(timeout=timeout)
        _check_host_key(element, transport.get_remote_server_key().asbytes(), identity)
        if identity.private_key is not None:
            transport.auth_publickey(identity.user, identity.private_key)
        else:
            transport.auth_password(identity.user, identity.password, fallback=False)
        transport.set_keepalive(KEEPALIVE_INTERVAL)
        channel = transport.open_session(timeout=timeout)
        channel.settimeout(timeout)
        channel.invoke_subsystem("netconf")
        return _exchange_hello(channel, SshChannel(transport, channel))
    except paramiko.AuthenticationException as error:
        text = f"it does not let {identity.user!r} in: {error}"
        raise Rejected(element, text, reason="authenticationFailed") from error
    except (paramiko.SSHException, NetconfClientException, OSError, EOFError) as error:
        raise Unreachable(element, f"no NETCONF session: {error!r}") from error
    except (etree.XMLSyntaxError, IndexError, ValueError) as error:
        raise Unreachable(element, f"its hello is not NETCONF: {error!r}") from error


def _check_host_key(element: str, key: bytes, identity: Identity) -> None:
    if not identity.is_known_host(key):
        text = f"its host key {fingerprint(key)} is not one that we know"
        if not identity.host_fingerprints:
            text += ": compare it with the element's own, then set it as option hostKey"
        raise Misconfigured(element, text)


def _exchange_hello(channel: paramiko.Channel, ssh_channel: SshChannel) -> NetconfLink:
    etree.set_default_parser(hardened_parser())  # the library reads the hello in this thread
    try:
        link = NetconfLink(ssh_channel)
    except StopIteration:
        raise EOFError("it closed the session without a hello") from None
    finally:
        etree.set_default_parser(None)
    channel.settimeout(None)  # replies have their own time, notifications take any
    return link
