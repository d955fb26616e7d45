"""What the tests stand on: one real database for the session, a fresh one inside it per test."""

import uuid

import pytest
from pymongo import MongoClient

from tmf_apis.settings import Settings
from tmf_apis.store.embedded import Mongod


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
