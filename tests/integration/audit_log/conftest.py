"""A write pipeline with a relay, on an empty database."""

import pytest

from tests.support.audit_harness import audit_harness


@pytest.fixture(scope="module")
def _harness(request, mongodb_uri, contracts):
    name = request.module.__name__.rpartition(".")[2]
    with audit_harness(mongodb_uri, contracts, f"audit_log_{name}") as audited:
        yield audited


@pytest.fixture
def harness(_harness):
    _harness.clear()
    return _harness
