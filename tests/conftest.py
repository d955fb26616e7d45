"""Shared fixtures: one real database server for the session, a new database for each test."""

import logging
import uuid

import pytest
from hypothesis import settings as hypothesis_settings
from pymongo import MongoClient

from tests.support.fulfilment_harness import FulfilmentHarness
from tests.support.server import ServerProcess
from tmf_apis.app import CONTRACTS_DIR
from tmf_apis.rest.contracts.contract import load_contracts
from tmf_apis.settings import Settings
from tmf_apis.store.connection import mongo_client as client_of
from tmf_apis.store.embedded_mongod import EmbeddedMongod

# The load of the machine varies: no example fails for being slow.
hypothesis_settings.register_profile("unhurried", deadline=None)
hypothesis_settings.load_profile("unhurried")


@pytest.fixture(autouse=True)
def log_level():
    """Restore the level of the root logger, which commands change."""
    level = logging.getLogger().level
    yield
    logging.getLogger().setLevel(level)


@pytest.fixture(scope="session")
def anyio_backend():
    """The event loop of asynchronous tests."""
    return "asyncio"


@pytest.fixture(scope="session")
def mongod(tmp_path_factory):
    """The embedded database of this test session."""
    server = EmbeddedMongod(Settings(data_dir=tmp_path_factory.mktemp("data")))
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def mongodb_uri(mongod):
    """URI of the embedded database of this test session."""
    return mongod.uri


@pytest.fixture(scope="session")
def _mongo_client(mongodb_uri):
    with MongoClient(mongodb_uri, tz_aware=True, w="majority", journal=True) as client:
        yield client


@pytest.fixture
def database(_mongo_client):
    """A database of this test only."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    yield _mongo_client[name]
    _mongo_client.drop_database(name)


@pytest.fixture(scope="session")
def contracts(tmp_path_factory):
    """The contracts by (number, version)."""
    cache = tmp_path_factory.getbasetemp() / "contracts"
    return {
        (contract.number, contract.version): contract
        for contract in load_contracts(CONTRACTS_DIR, cache)
    }


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    """A running ``tmf serve`` without authentication."""
    served = ServerProcess(tmp_path_factory.mktemp("open") / "data", TMF_AUTH="off")
    try:
        yield served.start()
    finally:
        served.stop()


@pytest.fixture(scope="session")
def authenticated_server(tmp_path_factory):
    """A running ``tmf serve`` with authentication; its ``token`` method issues tokens."""
    served = ServerProcess(
        tmp_path_factory.mktemp("closed") / "data",
        TMF_AUTH="on",
        TMF_CALLBACK_LOOPBACK="true",
        TMF_DISCOVERY_NETWORKS="127.0.0.0/8",
    )
    try:
        yield served.start()
    finally:
        served.stop()


@pytest.fixture
def tenant():
    """The name of a tenant of this test only."""
    return f"t{uuid.uuid4().hex[:12]}"


@pytest.fixture
def api(authenticated_server, tenant):
    """A client with full access to a tenant of this test only."""
    with authenticated_server.client(authenticated_server.token(tenant=tenant)) as client:
        yield client


@pytest.fixture(scope="module")
def fulfilment_harness(request, tmp_path_factory, mongodb_uri, contracts):
    """Fulfilment without Temporal, in a database of this module only."""
    name = request.module.__name__.removeprefix("tests.").replace(".", "_")[-60:]
    with client_of(Settings(mongodb_database=name), mongodb_uri) as client:
        client.drop_database(name)
        folder = tmp_path_factory.mktemp("execution")
        with FulfilmentHarness(contracts, client[name], folder) as harness:
            yield harness
        client.drop_database(name)


@pytest.fixture
def operator(fulfilment_harness):
    """An operator with one simulated gateway "gw" and nothing else."""
    fulfilment_harness.use_new_tenant()
    fulfilment_harness.configure()
    fulfilment_harness.gw = fulfilment_harness.add_gateway("gw")
    yield fulfilment_harness
    fulfilment_harness.stop_gateways()


@pytest.fixture
def fibre_offering(operator):
    """An offering of 100/40 Mbit/s."""
    return operator.create_offering(100, 40)
