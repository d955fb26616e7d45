"""Property-based tests with Schemathesis of every operation of every contract."""

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

#: Requests per operation.
EXAMPLES = int(os.environ.get("TMF_FUZZ_EXAMPLES", "3"))
#: Skip operations that are equivalent to others, unless the environment sets ``EXAMPLES``.
SAMPLED = "TMF_FUZZ_EXAMPLES" not in os.environ
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    response_headers_conformance,
]
#: Numbers of the APIs that have both versions.
BOTH_VERSIONS = {contract.number for contract in CONTRACTS if contract.version == "v5"}


def is_equivalent(contract, operation):
    """Return whether an operation has the same policy and schema as another."""
    return operation.kind in EQUIVALENT_KINDS or (
        contract.number not in BOTH_VERSIONS
        and operation.action == "listen"
        and "Create" not in operation.path
    )


OPERATIONS = [
    (contract, operation.method, operation.path)
    for contract in CONTRACTS
    for operation in contract.operations
    if not (SAMPLED and is_equivalent(contract, operation))
]


@pytest.fixture(scope="module")
def documents(authenticated_server):
    """The document of each contract, read from the server, with the headers of its own tenant.

    Each contract has its own tenant, because v4 may write values that are invalid in v5 (free text
    in place of an enumeration).
    """
    loaded = {}
    for contract in CONTRACTS:
        token = authenticated_server.token(tenant=f"fuzz-{contract.number}-{contract.version}")
        headers = {"Authorization": f"Bearer {token}"}
        url = f"{authenticated_server.url}{contract.base_path}"
        loaded[url] = (
            schemathesis.openapi.from_url(f"{url}/openapi.json?form=published", headers=headers),
            headers,
        )
    return loaded


def strategy(operation, method):
    """Return a strategy for valid requests and, if there is a body, invalid ones."""
    valid = operation.as_strategy(generation_mode=GenerationMode.POSITIVE)
    if method in {"get", "delete"}:
        return valid
    return valid | operation.as_strategy(generation_mode=GenerationMode.NEGATIVE)


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
    max_examples = EXAMPLES if "/listener" not in path else 1 + EXAMPLES // 10

    @settings(
        max_examples=max_examples,
        deadline=None,
        database=None,
        derandomize="TMF_FUZZ_EXAMPLES" not in os.environ,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate],
    )
    def send(case):
        case.call_and_validate(base_url=url, headers=headers, checks=CHECKS)

    given(strategy(operation, method))(send)()
