"""Schemathesis against the running server: every operation of every document."""

import os

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import (
    content_type_conformance,
    not_a_server_error,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.support.contract_collections import CONTRACTS, EQUIVALENT_KINDS

#: Requests for each operation; more by the environment.
EXAMPLES = int(os.environ.get("TMF_FUZZ_EXAMPLES", "3"))
#: Whether operations are left out that are like others; not when the environment asks for more.
SAMPLED = "TMF_FUZZ_EXAMPLES" not in os.environ
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    response_headers_conformance,
]
TWICE = {contract.number for contract in CONTRACTS if contract.version == "v5"}


def alike(contract, one):
    """Whether an operation is like another: same law, same form, one more name."""
    return one.kind in EQUIVALENT_KINDS or (
        contract.number not in TWICE and one.action == "listen" and "Create" not in one.path
    )


OPERATIONS = [
    (contract, one.method, one.path)
    for contract in CONTRACTS
    for one in contract.operations
    if not (SAMPLED and alike(contract, one))
]


@pytest.fixture(scope="module")
def documents(authenticated_server):
    """Each document as schemathesis reads it from the server, and a tenant's token for it.

    Each has a tenant of its own: what v4 may write (free text where v5 has a list of words) is not
    held against v5.
    """
    made = {}
    for contract in CONTRACTS:
        token = authenticated_server.token(tenant=f"fuzz-{contract.number}-{contract.version}")
        headers = {"Authorization": f"Bearer {token}"}
        url = f"{authenticated_server.url}{contract.base_path}"
        made[url] = (schemathesis.openapi.from_url(f"{url}/openapi.json", headers=headers), headers)
    return made


def strategy(operation, method):
    """Requests as the contract has them; where there is a body, also some that break it."""
    good = operation.as_strategy(generation_mode=GenerationMode.POSITIVE)
    if method in {"get", "delete"}:
        return good
    return good | operation.as_strategy(generation_mode=GenerationMode.NEGATIVE)


@pytest.mark.parametrize(
    ("contract", "method", "path"),
    OPERATIONS,
    ids=[f"{c.number}-{c.version}-{method}-{path}" for c, method, path in OPERATIONS],
)
def test_random_requests_are_answered_as_the_contract_says(
    authenticated_server, documents, contract, method, path
):
    url = f"{authenticated_server.url}{contract.base_path}"
    document, headers = documents[url]
    operation = document[path][method.upper()]
    most = EXAMPLES if "/listener" not in path else 1 + EXAMPLES // 10

    @settings(
        max_examples=most,
        deadline=None,
        database=None,
        derandomize="TMF_FUZZ_EXAMPLES" not in os.environ,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate],
    )
    def send(case):
        case.call_and_validate(base_url=url, headers=headers, checks=CHECKS)

    given(strategy(operation, method))(send)()
