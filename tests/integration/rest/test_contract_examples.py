"""Every example of every contract: sent to a demo operator, and held against the contract."""

import json
import re
import uuid
from random import Random

import pytest
from click.testing import CliRunner

from tests.support.contract_collections import CONTRACTS, validators
from tests.support.contract_examples import send
from tests.support.demo_server import demo_server
from tests.support.example_requests import served_operations
from tests.support.paths import ROOT
from tmf_apis.cli import main
from tmf_apis.rest.contracts.contract_examples import load_examples
from tmf_apis.rest.contracts.documents import resolve_reference
from tmf_apis.rest.contracts.served_document import served_document

BODIES = (ROOT / "docs" / "bodies.md").read_text("utf-8")
METHODS = ("get", "post", "put", "patch", "delete")
#: The seed of the order in which the examples are sent.
SEED = 9


@pytest.fixture(scope="module")
def demo_database(_mongo_client):
    """The name of the database of the demo operator."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    yield name
    _mongo_client.drop_database(name)


@pytest.fixture(scope="module")
def demo_folder(tmp_path_factory):
    """The data directory of the demo operator."""
    return tmp_path_factory.mktemp("demo") / "data"


@pytest.fixture(scope="module")
def demo(demo_folder, mongodb_uri, demo_database):
    """A client of a demo operator of this module only."""
    with demo_server(demo_folder, mongodb_uri, demo_database) as server, server.client() as client:
        yield client


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


def test_every_body_of_the_documents_is_accepted(demo):
    documented = re.findall(r"`POST (\S+)`\n\n```json\n(.*?)```", BODIES, re.DOTALL)
    assert len(documented) == BODIES.count("```json")
    answers = [
        (path, demo.post(f"/tmf-api/{path}", json=json.loads(body))) for path, body in documented
    ]
    assert [(path, each.text) for path, each in answers if each.status_code != 201] == []


def test_the_documented_rates_are_loaded(demo, demo_folder, demo_database, mongodb_uri):
    (rates,) = re.findall(r"```ndjson\n(.*?)```", BODIES, re.DOTALL)
    file = demo_folder / "rates.ndjson"
    file.write_text(rates, "utf-8")
    environment = {"TMF_MONGODB_DATABASE": demo_database, "TMF_MONGODB_URI": mongodb_uri}
    command = ["load", str(file), "--data-dir", str(demo_folder)]
    loaded = CliRunner().invoke(main, command, env=environment)
    assert loaded.exit_code == 0, loaded.output
    (rate,) = map(json.loads, rates.splitlines())
    path = "/tmf-api/customerBillManagement/v5/appliedCustomerBillingRate"
    stored = demo.get(f"{path}/{rate['id']}").json()
    assert (stored["isBilled"], stored["taxExcludedAmount"]) == (False, rate["taxExcludedAmount"])
