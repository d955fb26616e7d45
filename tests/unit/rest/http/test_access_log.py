import sys
import time

import orjson
import pytest

from tests.support.waiting import wait_until
from tmf_apis.rest.http import access_log
from tmf_apis.rest.http.access_log import AccessLog, AccessRecord
from tmf_apis.security.identity import Identity
from tmf_apis.security.request_origin import RequestOrigin

ORIGIN = RequestOrigin("192.0.2.7", "r-1", trace=f"00-{'a' * 32}-{'b' * 16}-01")


@pytest.fixture
def log():
    log = AccessLog()
    yield log
    log.close()


def lines(captured):
    return [orjson.loads(line) for line in captured.splitlines()]


@pytest.mark.parametrize(
    ("status", "outcome"),
    [(200, "success"), (304, "success"), (404, "refused"), (429, "refused"), (503, "failed"),
     (0, "disconnected")],
)  # fmt: skip
def test_the_outcome_follows_from_the_status(status, outcome):
    assert AccessRecord("GET", "/", ORIGIN, status=status).outcome == outcome


def test_a_line_names_request_client_operation_and_duration():
    record = AccessRecord(
        "POST", "/a", ORIGIN, time.perf_counter() - 0.2, "TMF622 v5 createProductOrder",
        Identity("ann", "acme"), 201, 512,
    )  # fmt: skip
    line = orjson.loads(record.line())
    assert line.pop("time")
    assert 200 <= line.pop("ms") < 2000
    assert line == {
        "level": "INFO", "logger": "tmf_apis.access", "message": "request", "request": "r-1",
        "method": "POST", "path": "/a", "operation": "TMF622 v5 createProductOrder",
        "status": 201, "outcome": "success", "bytes": 512, "address": "192.0.2.7",
        "subject": "ann", "tenant": "acme", "trace": "a" * 32,
    }  # fmt: skip


def test_a_line_names_the_process_if_there_are_several():
    record = AccessRecord("GET", "/", ORIGIN)
    assert orjson.loads(record.line(2))["http_process"] == 2
    assert "http_process" not in orjson.loads(record.line())


def test_a_path_cannot_add_a_line():
    record = AccessRecord("GET", '/a\n{"level":"ERROR"}\r' + "x" * 1000, ORIGIN)
    assert record.line().count(b"\n") == 1
    assert len(orjson.loads(record.line())["path"]) == 300


def test_every_record_is_written(log, capsys):
    for number in range(500):
        log.add(AccessRecord("GET", f"/{number}", ORIGIN, status=200))
    log.close()
    assert [line["path"] for line in lines(capsys.readouterr().err)] == [
        f"/{number}" for number in range(500)
    ]


def test_nothing_is_written_if_the_log_is_off(capsys):
    log = AccessLog(is_enabled=False)
    log.add(AccessRecord("GET", "/", ORIGIN))
    log.close()
    assert capsys.readouterr().err == ""


def test_a_stalled_reader_delays_no_request_and_lines_beyond_the_limit_are_counted(
    log, capsys, monkeypatch
):
    monkeypatch.setattr(access_log, "MAX_LINES", 3)
    for _ in range(10):
        log.add(AccessRecord("GET", "/", ORIGIN))
    log.close()
    *written, warning = lines(capsys.readouterr().err)
    assert len(written) + warning["count"] == 10
    assert "dropped" in warning["message"]


def test_a_closed_standard_error_does_not_end_the_log(log, capsys, monkeypatch, tmp_path):
    with (tmp_path / "closed").open("w") as closed:
        pass
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stderr", closed)
        log.add(AccessRecord("GET", "/lost", ORIGIN))
        wait_until(lambda: not log._lines)
        time.sleep(0.05)
    log.add(AccessRecord("GET", "/kept", ORIGIN))
    log.close()
    assert [line["path"] for line in lines(capsys.readouterr().err)] == ["/kept"]
