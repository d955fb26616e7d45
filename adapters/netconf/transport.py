"""The blocking part of a NETCONF session: SSH (RFC 6242) and the receiver of netconf_client."""

import socket
import threading
from collections.abc import Callable
from queue import Queue
from typing import Any

import paramiko
from lxml import etree
from lxml.etree import _Element as Element
from netconf_client.constants import CAP_NETCONF_11, DEFAULT_HELLO, NAMESPACES
from netconf_client.error import NetconfClientException
from netconf_client.parser import parse_messages
from netconf_client.session import Session as LibrarySession

from adapters.errors import Misconfigured, Rejected, Unreachable
from adapters.netconf.identity import Identity, fingerprint

#: Longest message, in octets; more than any reply to a request of the adapter.
MESSAGE_LIMIT = 16 * 1024 * 1024
CHUNK_SIZE = 65536  # octets
KEEPALIVE_INTERVAL = 30  # seconds


def hardened_parser() -> etree.XMLParser:
    """Return a parser for untrusted XML: it expands no entities, loads nothing and is limited."""
    return etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)


class SshChannel:
    """An SSH channel with the socket interface that the library expects.

    It ends the session when a message exceeds ``MESSAGE_LIMIT``.
    """

    def __init__(self, transport: paramiko.Transport, channel: paramiko.Channel) -> None:
        self._transport, self._channel = transport, channel
        self._received = 0

    def begin_message(self) -> None:
        """Restart the count of the octets of a message."""
        self._received = 0

    def recv(self, _: int) -> bytes:
        """Return the next received octets; empty at the end of the stream.

        Raises:
            EOFError: The message is longer than ``MESSAGE_LIMIT``.
        """
        chunk: bytes = self._channel.recv(CHUNK_SIZE)
        self._received += len(chunk)
        if self._received > MESSAGE_LIMIT:
            raise EOFError(f"a message of more than {MESSAGE_LIMIT} octets")
        return chunk

    def sendall(self, octets: bytes) -> None:
        """Send all octets."""
        self._channel.sendall(octets)

    def close(self) -> None:
        """Close the channel and the connection."""
        self._channel.close()
        self._transport.close()


class _MessageParser:
    """A wrapper of the parser of the library that notifies the channel when a message begins.

    White space before the XML declaration is removed: XML forbids it, and servers send it.
    """

    def __init__(self, parser: Any, channel: SshChannel) -> None:  # noqa: ANN401 - untyped library
        self._parser, self._channel = parser, channel

    def __next__(self) -> bytes:
        message: bytes = next(self._parser)
        return message.strip()

    def send(self, mode: str) -> bytes:
        self._channel.begin_message()
        message: bytes = self._parser.send(mode)
        return message.strip()


class NetconfLink(LibrarySession):  # type: ignore[misc]  # the library has no types
    """A session of the library that fails its pending requests when the connection ends.

    With netconf_client 3.6 itself they would wait forever.

    Attributes:
        ended: Set when the session has ended.
        on_end: Called when the session has ended, in the thread of the receiver.
    """

    def __init__(self, channel: SshChannel) -> None:
        """Exchange the hello messages and start the receiver.

        The library does the same, but takes neither white space in the hello of a server nor a
        hello without a usable session-id.

        Raises:
            ValueError: The hello of the server is not valid.
            StopIteration: The server sends none.
        """
        self.ended = threading.Event()
        self.on_end: Callable[[], None] = lambda: None
        self.sock, self.mode, self.client_hello = channel, "1.0", DEFAULT_HELLO
        self.send_msg(DEFAULT_HELLO)
        self.parser: Any = _MessageParser(parse_messages(channel, self.mode), channel)
        self.server_hello = next(self.parser)
        hello = etree.fromstring(self.server_hello)
        if hello.tag != f"{{{NAMESPACES['nc']}}}hello":
            raise ValueError(f"a message {hello.tag!r} instead of a hello")
        self.session_id = _session_id(hello)
        self.server_capabilities = _capabilities(hello)
        self.client_capabilities = _capabilities(etree.fromstring(DEFAULT_HELLO))
        if (
            CAP_NETCONF_11 in self.client_capabilities
            and CAP_NETCONF_11 in self.server_capabilities
        ):
            self.mode = "1.1"
        self.unknown_recvq: Queue[Any] = Queue()
        self.notifications: Any = Queue()
        self.rpc_reply_futures: Queue[Any] = Queue()
        self.thread = threading.Thread(target=self._recv_loop, daemon=True)
        self.thread.start()

    def _recv_loop(self) -> None:
        etree.set_default_parser(hardened_parser())  # of this thread
        try:
            super()._recv_loop()
        finally:
            self.ended.set()
            self.close()
            self.on_end()


def _session_id(hello: Element) -> int:
    """Return the session-id of a hello.

    Raises:
        ValueError: There is none, or it is not a number.
    """
    text = (hello.findtext(f"{{{NAMESPACES['nc']}}}session-id") or "").strip()
    if not (text.isascii() and text.isdecimal()):
        raise ValueError(f"the session-id is {text[:20]!r}, not a number")
    return int(text)


def _capabilities(hello: Element) -> list[str]:
    path = "{{{0}}}capabilities/{{{0}}}capability".format(NAMESPACES["nc"])
    texts = ("".join(element.itertext()).strip() for element in hello.iterfind(path))
    return [text for text in texts if text]


def connect(
    element: str, endpoint: tuple[str, int], identity: Identity, timeout: float
) -> NetconfLink:
    """Open a session; blocks.

    Args:
        element: Name of the element.
        endpoint: Host and port.
        identity: Credentials and accepted host keys.
        timeout: Longest wait for each step, in seconds.

    Raises:
        Unreachable: The endpoint does not answer, or does not speak NETCONF over SSH.
        Rejected: The server refuses the credentials.
        Misconfigured: The host key is not one of those that are accepted.
    """
    host, port = endpoint
    try:
        tcp_socket = socket.create_connection(endpoint, timeout)
    except OSError as error:
        raise Unreachable(element, f"no answer from {host}:{port}: {error}") from error
    try:
        transport = paramiko.Transport(tcp_socket)
    except (paramiko.SSHException, OSError) as error:
        tcp_socket.close()
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
            _log_in_with_password(transport, identity)
        transport.set_keepalive(KEEPALIVE_INTERVAL)
        channel = transport.open_session(timeout=timeout)
        channel.settimeout(timeout)
        channel.invoke_subsystem("netconf")
        return _exchange_hello(channel, SshChannel(transport, channel))
    except paramiko.AuthenticationException as error:
        text = f"it refuses the login of {identity.user!r}: {error}"
        raise Rejected(element, text, reason="authenticationFailed") from error
    except (paramiko.SSHException, NetconfClientException, OSError, EOFError) as error:
        raise Unreachable(element, f"no NETCONF session: {error!r}") from error
    except (etree.XMLSyntaxError, IndexError, ValueError) as error:
        raise Unreachable(element, f"its hello message is not valid: {error!r}") from error


def _log_in_with_password(transport: paramiko.Transport, identity: Identity) -> None:
    """Send the password, or answer the prompts of a server that only asks for it in a dialogue.

    Raises:
        paramiko.SSHException: The server refuses the login.
    """
    try:
        transport.auth_password(identity.user, identity.password, fallback=False)
    except paramiko.BadAuthenticationType as error:
        if "keyboard-interactive" not in error.allowed_types:
            raise
        transport.auth_interactive(
            identity.user,
            # a prompt that is echoed asks for something else than the password
            lambda _title, _text, prompts: [
                identity.user if echo else identity.password for _, echo in prompts
            ],
        )


def _check_host_key(element: str, key: bytes, identity: Identity) -> None:
    if not identity.is_known_host(key):
        text = f"its host key {fingerprint(key)} is not known"
        if not identity.host_fingerprints:
            text += ": compare it with that of the element, then set it as option hostKey"
        raise Misconfigured(element, text)


def _exchange_hello(channel: paramiko.Channel, ssh_channel: SshChannel) -> NetconfLink:
    etree.set_default_parser(hardened_parser())  # the library parses the hello in this thread
    try:
        link = NetconfLink(ssh_channel)
    except StopIteration:
        raise EOFError("it closed the session without a hello") from None
    finally:
        etree.set_default_parser(None)
    channel.settimeout(None)  # each request has its own timeout; notifications have none
    return link
