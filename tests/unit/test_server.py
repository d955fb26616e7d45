"""The supervising server process: signals."""

import signal
import threading

from tmf_apis.server import Server
from tmf_apis.settings import Settings


def test_a_signal_handler_does_not_wait_for_the_lock_of_the_main_thread(tmp_path):
    server = Server(Settings(data_dir=tmp_path), host="127.0.0.1", port=0)
    with server._stopping._cond:  # the main thread holds it when it begins or ends to wait
        handler = threading.Thread(target=server._handle_signal, args=(signal.SIGTERM, None))
        handler.start()
        handler.join(10)
        assert not handler.is_alive()
    assert server._is_stopping()
