"""Examples of requests and answers in ``openapi/examples/``, made with a demo operator.

Write them with ``python -m tests.support.contract_examples``. Dates, new ids and the host are the
same every time.
"""

import json
import re
import tempfile
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from tests.support.contract_collections import CONTRACTS
from tests.support.demo_server import LOADED, demo_server
from tests.support.example_requests import ExampleRequests, served_operations
from tests.support.paths import OPENAPI
from tmf_apis.settings import Settings
from tmf_apis.store.embedded_mongod import EmbeddedMongod

FOLDER = OPENAPI / "examples"
HOST = "http://127.0.0.1:8620"
UUID = re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-[1-9][0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}\b")
TIME = re.compile(r'"20\d\d-\d\d-\d\dT[0-9:.]+Z"')


def send(client, method, path, parameters, body=None):
    """Send a request of an example and return the answer.

    Args:
        client: An HTTP client of the server.
        method: The method.
        path: The path template with its mount path.
        parameters: The values of path and query parameters by name.
        body: Media type and value of the body; None without a body.
    """
    query = {name: value for name, value in parameters.items() if f"{{{name}}}" not in path}
    headers = {"Content-Type": body[0]} if body else {}
    content = json.dumps(body[1]).encode() if body else None
    return client.request(
        method.upper(), path.format(**parameters), params=query, headers=headers, content=content
    )


def example_of(client, contract, operation, request):
    """Send the requests of an operation and return its example; the last answer counts."""
    path = contract.base_path + operation.path
    for body in request.bodies.items() or [None]:
        answer = send(client, operation.method, path, request.parameters, body)
        if not answer.is_success:
            name = f"{contract.number} {contract.version} {operation.operation_id}"
            raise ValueError(f"{name}: {answer.text} for {body}")
    example = {"parameters": request.parameters, "bodies": request.bodies}
    example = {name: value for name, value in example.items() if value}
    example["status"] = str(answer.status_code)
    return example | ({"answer": answer.json()} if answer.content else {})


class Stabilizer:
    """Replacement of hosts, new ids and times of the run by values that are always the same."""

    def __init__(self, url, started):
        self._url = url
        self._started = started
        self._ids = {}

    def stable(self, contract, example):
        """Return an example with the same values in every run."""
        text = json.dumps(example, ensure_ascii=False).replace(self._url, HOST)
        given = set(UUID.findall(json.dumps(example.get("bodies"))))
        text = UUID.sub(lambda match: self._id(contract, match[0], given), text)
        return json.loads(TIME.sub(self._time, text))

    def _id(self, contract, id, given):
        if id in given:
            return id
        prefix = f"{contract.number[-3:]}{contract.version}"
        numbers = self._ids.setdefault(prefix, {})
        number = numbers.setdefault(id, len(numbers) + 1)
        digits = prefix.encode().hex()[:10]
        return f"01a2b7c0-{digits[:4]}-7{digits[4:7]}-8000-{number:012d}"

    def _time(self, match):
        time = datetime.fromisoformat(match[0].strip('"'))
        return f'"{LOADED:%Y-%m-%dT%H:%M:%S}.000Z"' if time >= self._started else match[0]


def requests_of(contracts, client):
    """Return contract, operation and request of all operations, reads first.

    The answers to reads do not depend on the other examples then.
    """
    requests = []
    for contract in contracts:
        made = ExampleRequests(contract, client)
        requests += [(contract, each, made.request(each)) for each in served_operations(contract)]
    return sorted(requests, key=lambda each: each[1].method != "get")


def write_all():
    """Write the examples of all contracts.

    Raises:
        ValueError: The server refuses a request; the message names it.
    """
    FOLDER.mkdir(exist_ok=True)
    made = {contract: {} for contract in CONTRACTS}
    started = datetime.now(UTC).replace(microsecond=0)
    with demo() as server, server.client() as client:
        stabilizer = Stabilizer(server.url, started)
        for contract, operation, request in requests_of(CONTRACTS, client):
            example = example_of(client, contract, operation, request)
            made[contract][operation.operation_id] = stabilizer.stable(contract, example)
    for contract, examples in made.items():
        write(contract, examples)


@contextmanager
def demo():
    """Run a demo operator with a database of its own."""
    with tempfile.TemporaryDirectory() as temporary:
        mongod = EmbeddedMongod(Settings(data_dir=Path(temporary) / "database"))
        mongod.start()
        try:
            with demo_server(Path(temporary) / "server", mongod.uri, "demo") as server:
                yield server
        finally:
            mongod.stop()


def write(contract, examples):
    """Write the examples of a contract by operation id, in the order of the contract."""
    ordered = {
        each.operation_id: examples[each.operation_id] for each in served_operations(contract)
    }
    text = json.dumps(ordered, ensure_ascii=False, indent=1)
    file = FOLDER / f"{contract.number}-{contract.version}.json"
    file.write_text(f"{text}\n", "utf-8")


if __name__ == "__main__":
    write_all()
