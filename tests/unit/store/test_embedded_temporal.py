"""Free ports for the embedded Temporal."""

import socket

from tmf_apis.store.embedded_temporal import free_port


def test_a_port_in_use_is_not_returned():
    with socket.socket() as used:
        used.bind(("127.0.0.1", 0))
        used.listen()
        port = used.getsockname()[1]
        assert free_port(port) != port


def test_a_preferred_port_that_is_free_is_returned():
    port = free_port()
    assert free_port(port) == port
