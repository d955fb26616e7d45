"""An engine on a database of each test module, and credentials for simulated elements."""

import json

import pytest

from adapters.credentials import Credentials
from tmf_apis.engine import CONTRACTS_DIR, Engine
from tmf_apis.rest.contracts.contract import load_contracts
from tmf_apis.rest.pipeline.repository import RepositoryFactory
from tmf_apis.settings import Settings

#: The kinds that tests of reconciliation write.
KINDS = ("Resource", "Service", "NetworkAudit", "ResolveDifference", "FalloutTask")


class EditableCredentials(Credentials):
    """Credentials in a file to which a test can add secrets."""

    def add(self, secrets):
        self._file.write_text(json.dumps({**json.loads(self._file.read_text()), **secrets}))


@pytest.fixture(scope="module")
def module_engine(request, _mongo_client, tmp_path_factory):
    """An engine of this module: creating its indexes takes longer than any test."""
    folder = tmp_path_factory.mktemp("engine")
    database = _mongo_client[request.module.__name__.removeprefix("tests.").replace(".", "_")[-60:]]
    engine = Engine(
        Settings(mongodb_database=database.name, data_dir=folder),
        load_contracts(CONTRACTS_DIR, folder / "cache"),
        database,
    )
    engine.prepare()
    yield engine
    _mongo_client.drop_database(database.name)


@pytest.fixture
def engine(module_engine):
    """The engine of the module on an empty inventory."""
    for kind in KINDS:
        module_engine.database[kind].delete_many({})
    return module_engine


@pytest.fixture
def repository(engine):
    """The repository of the default tenant."""
    return RepositoryFactory(engine.writer, "test").for_tenant("default")


@pytest.fixture
def credentials(tmp_path):
    """Credentials to which the test can add secrets."""
    file = tmp_path / "secrets.json"
    file.write_text("{}")
    return EditableCredentials(file)
