"""Accounts that several processes share."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tmf_apis.rest.http.rates import Limit, RateLimiter
from tmf_apis.rest.http.shared_accounts import SharedAccounts
from tmf_apis.store.shared_state import Cell, SharedState

PROCESSES = 3


@pytest.fixture
def states():
    """The shared memory as each of the processes sees it."""
    return shared_states()


def shared_states():
    supervisor = SharedState.create(PROCESSES)
    return [SharedState(supervisor.file, PROCESSES, number) for number in range(1, PROCESSES + 1)]


def limiters(states, clock, *, rate=10, burst=20, concurrency=0):
    limit = Limit("client", rate, burst, concurrency)
    return [RateLimiter(limit, clock, SharedAccounts(state)) for state in states]


@given(st.lists(st.tuples(st.integers(0, PROCESSES - 1), st.floats(0, 3)), max_size=60))
def test_processes_together_admit_what_one_process_would(requests):
    now = [100.0]
    shared = limiters(shared_states(), lambda: now[0])
    single = RateLimiter(Limit("client", 10, 20, 0), lambda: now[0])
    for process, pause in requests:
        now[0] += pause / 20
        expected, account = single.account("a"), shared[process].account("a")
        assert account.tokens == pytest.approx(expected.tokens)
        is_exceeded = single.is_rate_exceeded(expected)
        if not is_exceeded:
            expected.begin_request()
            account.begin_request()
            account.end_request()


def test_requests_at_a_time_are_counted_in_all_processes(states):
    first, second, _ = limiters(states, lambda: 0.0, concurrency=2)
    accounts = [first.account("a"), second.account("a")]
    for account in accounts:
        assert not first.is_concurrency_exceeded(account)
        account.begin_request()
    assert first.is_concurrency_exceeded(first.account("a"))
    assert not first.is_concurrency_exceeded(first.account("b"))
    accounts[1].end_request()
    assert not second.is_concurrency_exceeded(second.account("a"))


def test_the_requests_of_a_process_that_ended_no_longer_count(states):
    accounts = [SharedAccounts(state).account("a") for state in states]
    for account, state in zip(accounts, states, strict=True):
        account.begin_request()
        state.set(Cell.CONNECTIONS, 5)
    states[0].forget_process(2)
    assert accounts[0].active == PROCESSES - 1
    assert states[0].total(Cell.CONNECTIONS) == 5 * (PROCESSES - 1)


def test_an_account_whose_slot_was_given_away_is_looked_up_again(states, monkeypatch):
    monkeypatch.setattr("tmf_apis.rest.http.shared_accounts.ACCOUNTS", 4)
    limiter, *_ = limiters(states, lambda: 0.0)
    old = limiter.account("old")
    for number in range(200):
        SharedAccounts(states[1]).account(f"other {number}", 20.0, 1.0)
    assert not old.is_valid
    old.end_request()  # of a request that began before: it counts for no other account
    assert limiter.account("old").active == 0
    assert limiter.account("old").is_valid


def test_a_reason_is_kept_for_the_supervisor(states):
    states[1].set_reason("ö" * 3000)
    assert states[0].reason(2).startswith("ööö")
    assert states[0].reason(1) == ""
