"""What the tests stand on: one real database for the session, a fresh one inside it per test."""

import uuid

import pytest
from hypothesis import settings as hypothesis_settings
from pymongo import MongoClient

from tests.executing import Execution
from tests.running import Served
from tmf_apis.app import CONTRACTS
from tmf_apis.rest.contracts import load
from tmf_apis.settings import Settings
from tmf_apis.store.connection import client as client_of
from tmf_apis.store.embedded import Mongod

# Machines differ, and so does what else runs on them: no example fails for being slow.
hypothesis_settings.register_profile("unhurried", deadline=None)
hypothesis_settings.load_profile("unhurried")


@pytest.fixture(scope="session")
def mongod(tmp_path_factory):
    """The embedded database of this test session."""
    server = Mongod(Settings(data_dir=tmp_path_factory.mktemp("data")))
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def mongodb_uri(mongod):
    """URI of the embedded database of this test session."""
    return mongod.uri


@pytest.fixture(scope="session")
def _client(mongodb_uri):
    with MongoClient(mongodb_uri, tz_aware=True, w="majority", journal=True) as client:
        yield client


@pytest.fixture
def database(_client):
    """A database of this test alone."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    yield _client[name]
    _client.drop_database(name)


@pytest.fixture(scope="session")
def contracts(tmp_path_factory):
    """The contracts by (number, version)."""
    cache = tmp_path_factory.getbasetemp() / "contracts"
    return {(one.number, one.version): one for one in load(CONTRACTS, cache)}


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    """A running ``tmf serve`` without authentication."""
    served = Served(tmp_path_factory.mktemp("open") / "data", TMF_AUTH="off")
    try:
        yield served.start()
    finally:
        served.stop()


@pytest.fixture(scope="session")
def authenticated_server(tmp_path_factory):
    """A running ``tmf serve`` that wants tokens; ``token`` makes them."""
    served = Served(
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
    """The name of a tenant that only this test has."""
    return f"t{uuid.uuid4().hex[:12]}"


@pytest.fixture
def api(authenticated_server, tenant):
    """A client that may do everything in a tenant of this test alone."""
    with authenticated_server.client(authenticated_server.token(tenant=tenant)) as client:
        yield client


@pytest.fixture(scope="module")
def execution(request, tmp_path_factory, mongodb_uri, contracts):
    """Fulfilment without Temporal, in a database of this module alone."""
    name = request.module.__name__.rpartition(".")[2]
    with client_of(Settings(mongodb_database=name), mongodb_uri) as client:
        client.drop_database(name)
        with Execution(contracts, client[name], tmp_path_factory.mktemp("execution")) as it:
            yield it
        client.drop_database(name)


@pytest.fixture
def it(execution):
    """An operator with one simulated gateway "gw" and nothing else."""
    execution.fresh()
    execution.policy()
    execution.gw = execution.gateway("gw")
    yield execution
    execution.leave()


@pytest.fixture
def fibre(it):
    """An offering of 100/40 Mbit/s."""
    return it.offering(100, 40)
