"""Every example of every contract: sent to a demo operator, and held against the contract."""

import uuid
from random import Random

import pytest

from tests.support.contract_collections import CONTRACTS, validators
from tests.support.contract_examples import send
from tests.support.demo_server import demo_server
from tests.support.example_requests import served_operations
from tmf_apis.rest.contracts.contract_examples import load_examples
from tmf_apis.rest.contracts.documents import resolve_reference
from tmf_apis.rest.contracts.served_document import served_document

METHODS = ("get", "post", "put", "patch", "delete")
#: The seed of the order in which the examples are sent.
SEED = 9


@pytest.fixture(scope="module")
def demo(tmp_path_factory, mongodb_uri, _mongo_client):
    """A client of a demo operator of this module only."""
    database = f"test_{uuid.uuid4().hex[:12]}"
    folder = tmp_path_factory.mktemp("demo") / "data"
    with demo_server(folder, mongodb_uri, database) as server, server.client() as client:
        yield client
    _mongo_client.drop_database(database)


def operations(document):
    """Yield path, method and operation of a document."""
    for path, item in document["paths"].items():
        for method in METHODS:
            if method in item:
                yield path, method, item[method]


def bodies(document, operation):
    """Return the examples of the request body by media type; [None] without a body."""
    if "requestBody" not in operation:
        return [None]
    content = resolve_reference(document, operation["requestBody"])["content"]
    return [(name, value["example"]) for name, value in content.items()]


def check_answer(contract, responses, status, body):
    """Check an answer against the response of a status."""
    response = resolve_reference(contract.document, responses[status])
    if "content" not in response:
        assert body is None
        return
    schema = response["content"]["application/json"]["schema"]
    reference = (schema["items"] if schema.get("type") == "array" else schema).get("$ref")
    if reference is None:
        return
    validator = validators(contract).validator(reference.rpartition("/")[2])
    for resource in body if isinstance(body, list) else [body]:
        problems = [f"{e.instance_path}: {e.message}" for e in validator.iter_errors(resource)]
        assert problems == []


@pytest.mark.parametrize("contract", CONTRACTS, ids=lambda c: f"{c.number}-{c.version}")
def test_every_operation_has_an_example_whose_answer_conforms(contract):
    examples = load_examples(contract.examples_file)
    assert examples.keys() == {each.operation_id for each in served_operations(contract)}
    for _, _, operation in operations(served_document(contract)):
        example = examples.get(operation["operationId"])
        if example is None:
            assert operation["operationId"] == "retrieveMonitor", "an API without long tasks"
            continue
        check_answer(contract, operation["responses"], example["status"], example.get("answer"))


def requests(contract, document):
    """Yield path, method, operation, parameters and body of the examples of a document."""
    examples = load_examples(contract.examples_file)
    for path, method, operation in operations(document):
        if operation["operationId"] in examples:
            listed = operation.get("parameters", ())
            parameters = [resolve_reference(document, each) for each in listed]
            values = {each["name"]: each["example"] for each in parameters if "example" in each}
            for body in bodies(document, operation):
                yield path, method, operation, values, body


def test_every_example_succeeds_in_any_order(demo):
    sent = []
    for contract in CONTRACTS:
        document = demo.get(f"{contract.base_path}/openapi.json?form=published").json()
        sent += [(contract, *request) for request in requests(contract, document)]
    Random(SEED).shuffle(sent)  # noqa: S311 - must be reproducible
    failures = []
    for contract, path, method, operation, values, body in sent:
        answer = send(demo, method, contract.base_path + path, values, body)
        example = load_examples(contract.examples_file)[operation["operationId"]]
        allowed = {"200", "206"} if "limit" in values else {example["status"]}
        status = str(answer.status_code)
        if status not in allowed:
            name = f"{contract.number} {contract.version} {operation['operationId']}"
            failures.append(f"{name}: {status} {answer.text[:300]} for {body}")
            continue
        content = answer.json() if answer.content else None
        check_answer(contract, operation["responses"], status, content)
    assert failures == []
