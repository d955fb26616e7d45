"""NETCONF sessions of other users with the server of the lab."""

import os
from contextlib import suppress

from netconf_client.rpc import make_rpc
from netconf_client.session import Session as LibrarySession


class Subsystem:
    """A local connection of another user to the NETCONF subsystem, without SSH."""

    def __init__(self, lab, user):
        socket = f"--ncxserver-sockname=830@{lab.server_socket}"
        stdin, self._input = os.pipe()
        self._output, stdout = os.pipe()
        environment = {"USER": user, "SSH_CONNECTION": "127.0.0.1 1 127.0.0.1 830", "HOME": "/"}
        self._process = os.posix_spawn(
            "/usr/sbin/netconf-subsystem",
            ["netconf-subsystem", socket],
            environment,
            file_actions=[
                (os.POSIX_SPAWN_DUP2, stdin, 0),
                (os.POSIX_SPAWN_DUP2, stdout, 1),
                (os.POSIX_SPAWN_CLOSE, self._input),
                (os.POSIX_SPAWN_CLOSE, self._output),
            ],
        )
        os.close(stdin)
        os.close(stdout)

    def recv(self, count):
        return os.read(self._output, count)

    def sendall(self, octets):
        os.write(self._input, octets)

    def close(self):
        os.close(self._input)
        os.waitpid(self._process, 0)


EMPTY_GET = make_rpc('<get><filter type="subtree"/></get>', "nothing")


def open_local_session(lab, user):
    """Open a session of another user.

    netconfd does not process a request that it reads together with the hello before the next one.
    """
    session = LibrarySession(Subsystem(lab, user))
    with suppress(TimeoutError):
        session.send_rpc(EMPTY_GET).result(1)
        return session
    session.send_rpc(EMPTY_GET).result(10)
    return session
