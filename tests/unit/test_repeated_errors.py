"""Errors that repeat are logged once a period, with a count."""

import io
import json
import logging
import subprocess
import sys
import threading

import pytest

from tests.support.waiting import wait_until
from tmf_apis import repeated_errors
from tmf_apis.json_logging import JsonLinesFormatter
from tmf_apis.repeated_errors import ErrorLimitingHandler

LONG = 3600.0


@pytest.fixture
def make_logger(request):
    loggers = []

    def make(period=LONG):
        logger = logging.getLogger(f"test.{request.node.name}.{len(loggers)}")
        logger.propagate = False
        logger.setLevel(logging.INFO)
        handler = ErrorLimitingHandler(io.StringIO(), period=period)
        handler.setFormatter(JsonLinesFormatter())
        logger.addHandler(handler)
        loggers.append((logger, handler))
        return logger, handler

    yield make
    for logger, handler in loggers:
        logger.removeHandler(handler)
        handler.close()


def lines(handler):
    return [json.loads(line) for line in handler.stream.getvalue().splitlines()]


def repeat_error(logger, times, message="broken"):
    for _ in range(times):
        logger.error(message)


def fail(logger, error, **fields):
    logger.error("unexpected error", exc_info=error, extra=fields)


def test_the_first_error_is_written_at_once_with_its_traceback(make_logger):
    logger, handler = make_logger()
    try:
        int("x")
    except ValueError:
        logger.exception("unexpected error", extra={"path": "/a"})
    (line,) = lines(handler)
    assert (line["message"], line["path"]) == ("unexpected error", "/a")
    assert "ValueError: invalid literal" in line["traceback"]
    assert "repeated" not in line


def test_a_thousand_errors_are_two_lines_and_the_second_has_the_count(make_logger):
    logger, handler = make_logger()
    for number in range(1000):
        fail(logger, ValueError(f"x{number}"), path=f"/{number}")
    assert len(lines(handler)) == 1
    handler.close()
    first, summary = lines(handler)
    assert "traceback" in first
    assert (summary["message"], summary["repeated"], summary["path"]) == (
        "unexpected error", 999, "/999",
    )  # fmt: skip
    assert "traceback" not in summary


def test_errors_of_different_origins_are_all_written(make_logger):
    logger, handler = make_logger()
    fail(logger, ValueError("x"))
    fail(logger, KeyError("x"))
    for _ in range(2):
        logger.error("first message")
        logger.error("second message")
    try:
        int("x")
    except ValueError:
        logger.exception("unexpected error")
    messages = [line["message"] for line in lines(handler)]
    assert messages == [*["unexpected error"] * 2, "first message", "second message",
                        "unexpected error"]  # fmt: skip


def test_records_below_error_are_never_counted(make_logger):
    logger, handler = make_logger()
    for _ in range(3):
        logger.info("hello")
        logger.warning("careful")
    assert len(lines(handler)) == 6


def test_a_count_is_written_after_the_period_and_then_no_more(make_logger):
    logger, handler = make_logger(period=0.1)
    repeat_error(logger, 2)
    wait_until(lambda: len(lines(handler)) == 2)
    assert lines(handler)[1]["repeated"] == 1
    wait_until(lambda: not handler._repetitions)
    repeat_error(logger, 1)
    assert ["repeated" in line for line in lines(handler)] == [False, True, False]


def test_no_error_is_lost_when_many_threads_log(make_logger):
    logger, handler = make_logger(period=0.01)
    threads = [
        threading.Thread(target=lambda: [logger.error("broken") for _ in range(500)])
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    handler.close()
    assert sum(line.get("repeated", 1) for line in lines(handler)) == 4000


def test_the_number_of_observed_origins_is_bounded_and_each_first_is_written(make_logger):
    logger, handler = make_logger()
    for number in range(repeated_errors.MAX_ORIGINS + 100):
        repeat_error(logger, 2, f"broken {number}")
        assert len(handler._repetitions) <= repeated_errors.MAX_ORIGINS
    handler.close()
    firsts = [line for line in lines(handler) if "repeated" not in line]
    assert len(firsts) == repeated_errors.MAX_ORIGINS + 100


def test_a_process_that_ends_writes_the_pending_counts():
    program = (
        "import logging; from tmf_apis.json_logging import configure_logging\n"
        "configure_logging('INFO')\n"
        "for _ in range(5): logging.getLogger('x').error('broken')\n"
    )
    result = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-c", program], capture_output=True, check=True, text=True
    )
    first, summary = map(json.loads, result.stderr.splitlines())
    assert "repeated" not in first
    assert summary["repeated"] == 4
