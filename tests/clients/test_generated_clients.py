"""Clients that generators make from the served contracts work as they are.

Some APIs for each generator; ``make clients`` runs all of them.
"""

import json
import re
import shutil

import pytest

from tests.clients import matrix, toolbox
from tests.clients.demo_server import demo_server
from tests.clients.matrix import Workshop, failures, stem
from tests.support.contract_collections import CONTRACTS
from tests.support.paths import ROOT

#: TMF678 has the limit, and answers with references and values.
SAMPLE = [
    contract
    for contract in CONTRACTS
    if (contract.number, contract.version) in {("TMF629", "v4"), ("TMF678", "v4"), ("TMF678", "v5")}
]

pytestmark = pytest.mark.timeout(900)


@pytest.fixture(scope="module")
def workshop(tmp_path_factory):
    try:
        toolbox.python()
    except toolbox.Missing as error:
        pytest.skip(f"the generators cannot be installed: {error}")
    folder = tmp_path_factory.mktemp("clients")
    with demo_server(folder / "data") as url:
        workshop = Workshop(url, folder)
        with workshop.client:
            yield workshop


@pytest.fixture(scope="module")
def node(workshop):
    try:
        toolbox.node_modules()
    except toolbox.Missing as error:
        pytest.skip(f"the generators for TypeScript cannot be installed: {error}")


def assert_all_work(generator, outcomes):
    seen = []
    for contract, results in outcomes:
        assert results
        assert failures(generator, contract, results) == {}
        seen.append(contract)
    assert seen == SAMPLE


@pytest.mark.parametrize("generator", list(matrix.PYTHON_DRIVERS))
def test_generated_clients_in_python_create_list_read_patch_and_delete(workshop, generator):
    assert_all_work(generator, workshop.use_python(generator, SAMPLE))


@pytest.mark.usefixtures("node")
def test_clients_of_typescript_fetch_compile_and_work(workshop):
    name = "openapi-generator typescript-fetch"
    assert_all_work(name, workshop.use_typescript(SAMPLE))


@pytest.mark.usefixtures("node")
def test_programs_with_the_types_of_openapi_typescript_compile_and_work(workshop):
    assert_all_work("openapi-typescript", workshop.use_openapi_typescript(SAMPLE))


def test_clients_in_java_compile(workshop):
    if not shutil.which("javac"):
        pytest.skip("there is no javac")
    contract = next(contract for contract in SAMPLE if stem(contract) == "TMF629-v4")
    workshop.compile_java(contract)


def test_the_tmforum_sdk_creates_lists_reads_patches_and_deletes(workshop):
    for contract, results in workshop.use_sdk():
        assert failures("tmforum", contract, results) == {}


def test_the_page_lists_the_generators_that_are_tested_with_their_versions():
    text = (ROOT / "docs" / "clients.md").read_text()
    rows = dict(re.findall(r"^\| `([^`]+)`[^|]*\| ([\d.]+) \|", text, re.MULTILINE))
    pins = dict(re.findall(r"^([\w-]+)==(\S+)", toolbox.REQUIREMENTS.read_text(), re.MULTILINE))
    npm = json.loads((toolbox.HERE / "package.json").read_text())["dependencies"]
    generator = pins["openapi-generator-cli"]
    assert rows == {
        **{
            f"openapi-generator {name}": generator
            for name in ("python", "typescript-fetch", "java")
        },
        "openapi-python-client": pins["openapi-python-client"],
        "openapi-typescript": npm["openapi-typescript"],
        "tmforum": pins["tmforum"],
    }
