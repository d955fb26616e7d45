"""Runs a server in a network namespace of its own, reachable only through given sockets.

The server listens on the loopback interface of the namespace: no other process of the machine can
connect to it, and it can connect to nothing. This process forwards connections to it. It listens on
unix sockets that only its user can open, or on loopback of the machine where this is asked for::

    python -m tmf_apis.store.network_namespace --forward unix:/d/a.sock=7233 -- server --port 7233

A client of a unix socket may start with ``CONNECT`` (RFC 9110, section 9.3.6), as through a proxy.

Source: network_namespaces(7), user_namespaces(7), netdevice(7).
"""

import argparse
import asyncio
import contextlib
import ctypes
import fcntl
import os
import signal
import socket
import struct
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import uvloop

_CLONE_NEWUSER, _CLONE_NEWNET = 0x10000000, 0x40000000
_SIOCSIFFLAGS, _IFF_UP, _IFF_RUNNING = 0x8914, 0x1, 0x40
_PR_SET_PDEATHSIG = 1
#: Exit status if the system permits no namespaces (EX_UNAVAILABLE of sysexits.h).
UNAVAILABLE = 69
_LOOPBACK = "127.0.0.1"
_CHUNK = 65_536
#: Longest request of a client that starts with CONNECT, in bytes.
_MAX_CONNECT = 4096


def is_available() -> bool:
    """Return whether this system permits a process of this user to have a network namespace."""
    if not sys.platform.startswith("linux"):
        return False
    command = [sys.executable, "-m", __name__, "--check"]
    check = subprocess.run(command, check=False, capture_output=True)  # noqa: S603
    return check.returncode == 0


def enter_namespace() -> None:
    """Move this process to a new network namespace with a loopback interface.

    A process without the privilege becomes the owner of a new user namespace first.

    Raises:
        OSError: The system does not permit it.
    """
    user, group = os.geteuid(), os.getegid()
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_CLONE_NEWNET):
        if libc.unshare(_CLONE_NEWUSER | _CLONE_NEWNET):
            error = ctypes.get_errno()
            raise OSError(error, f"no network namespace: {os.strerror(error)}")
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
        Path("/proc/self/gid_map").write_text(f"{group} {group} 1")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        request = struct.pack("16sH14x", b"lo", _IFF_UP | _IFF_RUNNING)
        fcntl.ioctl(control, _SIOCSIFFLAGS, request)


def _end_with_parent(number: signal.Signals) -> None:
    """Ask for a signal when the parent ends; a new user namespace forgets an earlier request."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, number, 0, 0, 0)


def listening_socket(address: str) -> socket.socket:
    """Return a socket that listens on ``unix:<path>`` or ``tcp:<port>``, the latter on loopback.

    Raises:
        OSError: The address cannot be used.
    """
    kind, _, value = address.partition(":")
    if kind == "tcp":
        return socket.create_server((_LOOPBACK, int(value)))
    path = Path(value)
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(value)
    path.chmod(0o600)  # nobody connects before it listens; a umask would be the whole process's
    listener.listen(128)
    return listener


async def _serve_connection(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, port: int
) -> None:
    """Forward a connection to a port of the namespace."""
    with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
        head = await reader.read(_CHUNK)
        if head.startswith(b"CONNECT "):
            while b"\r\n\r\n" not in head and len(head) < _MAX_CONNECT:
                head += await reader.readexactly(1)
            _, _, head = head.partition(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        target_reader, target_writer = await asyncio.open_connection(_LOOPBACK, port)
        _set_no_delay(target_writer)
        target_writer.write(head)
        await asyncio.gather(_copy(reader, target_writer), _copy(target_reader, writer))
    writer.close()


def _set_no_delay(writer: asyncio.StreamWriter) -> None:
    writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Copy a stream to its end, and close the other side then."""
    try:
        while octets := await reader.read(_CHUNK):
            writer.write(octets)
            await writer.drain()
    except OSError:
        pass
    finally:
        writer.close()


async def _run(forwards: Sequence[tuple[socket.socket, int]], command: Sequence[str]) -> int:
    """Run a command and forward connections to it until it ends; return its exit status."""
    process = await asyncio.create_subprocess_exec(
        *command, preexec_fn=lambda: _end_with_parent(signal.SIGKILL)
    )
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, process.send_signal, signal.SIGTERM)
    for listener, port in forwards:

        async def serve(
            reader: asyncio.StreamReader, writer: asyncio.StreamWriter, port: int = port
        ) -> None:
            await _serve_connection(reader, writer, port)

        if listener.family == socket.AF_UNIX:
            await asyncio.start_unix_server(serve, sock=listener)
        else:
            await asyncio.start_server(serve, sock=listener)
    status = await process.wait()
    return status if status >= 0 else 128 - status


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--forward", action="append", default=[], metavar="ADDRESS=PORT")
    parser.add_argument("--directory", default=".")
    parser.add_argument("command", nargs="*")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str]) -> int:
    """Run the server of the command line; return its exit status."""
    options = _parse(arguments)
    pairs = [forward.rpartition("=") for forward in options.forward]
    try:
        # The sockets are those of the namespace in which they are created: the machine's.
        forwards = [(listening_socket(address), int(port)) for address, _, port in pairs]
        enter_namespace()
        os.chdir(options.directory)
    except OSError as error:
        print(error, file=sys.stderr)  # noqa: T201 - to the log of the process
        return UNAVAILABLE
    if options.check:
        return 0
    _end_with_parent(signal.SIGTERM)
    return uvloop.run(_run(forwards, options.command))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
