"""The log of failed log-ins: every refusal is counted, the lines are bounded."""

import logging

import pytest

from tmf_apis.errors import Forbidden
from tmf_apis.security.claims import TokenRefused
from tmf_apis.security.refusals import _LINES, _LINES_OF_CLIENT, RefusalLog
from tmf_apis.security.request_origin import RequestOrigin


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def refusals(clock, caplog):
    caplog.set_level(logging.WARNING)
    return RefusalLog(clock)


def test_the_lines_of_one_client_are_bounded_and_the_rest_is_reported(refusals, clock, caplog):
    error = TokenRefused("no", "signature")
    for _ in range(100):
        refusals.record(error, RequestOrigin("192.0.2.1"), "/x")
    assert len(caplog.records) == _LINES_OF_CLIENT
    refusals.record(error, RequestOrigin("192.0.2.2"), "/x")
    assert caplog.records[-1].client == "192.0.2.2"
    clock.now += 61
    refusals.record(error, RequestOrigin("192.0.2.1"), "/x")
    assert caplog.records[-1].unlogged == 100 - _LINES_OF_CLIENT


def test_the_lines_of_all_clients_are_bounded(refusals, caplog):
    for number in range(1000):
        refusals.record(Forbidden("no"), RequestOrigin(f"192.0.2.{number}"), "/x", "me")
    assert len(caplog.records) == _LINES


def test_a_client_behind_the_address_of_a_noisy_one_is_logged(refusals, caplog):
    for subject in ["noisy"] * 50 + ["quiet"]:
        refusals.record(Forbidden("no"), RequestOrigin("192.0.2.1"), "/x", subject)
    assert [record.subject for record in caplog.records].count("quiet") == 1
    assert len(caplog.records) < 50
