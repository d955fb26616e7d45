"""The supervising server process: signals, and settings that only the contracts can check."""

import signal
import threading

import pytest

from tmf_apis import web
from tmf_apis.server import Server
from tmf_apis.settings import Settings
from tmf_apis.store.process import CannotStart


def test_a_signal_handler_does_not_wait_for_the_lock_of_the_main_thread(tmp_path):
    server = Server(Settings(data_dir=tmp_path), host="127.0.0.1", port=0)
    with server._stopping._cond:  # the main thread holds it when it begins or ends to wait
        handler = threading.Thread(target=server._handle_signal, args=(signal.SIGTERM, None))
        handler.start()
        handler.join(10)
        assert not handler.is_alive()
    assert server._is_stopping()


@pytest.mark.parametrize(("kind", "near"), [("ProductOrders", "ProductOrder"), ("Xyzzy", "kinds")])
def test_a_retention_period_of_an_unknown_kind_stops_the_start(tmp_path, kind, near):
    settings = Settings(data_dir=tmp_path, auth="off", retention=((kind, 1.0),))
    with pytest.raises(CannotStart, match=f"TMF_RETENTION.* {kind}; .*{near}"):
        web.build_application(settings, lambda: None)
