"""An engine on a database of this test only, with a customer and its resources."""

import pytest

from tests.support.privacy_harness import PrivacyHarness
from tmf_apis.settings import Settings
from tmf_apis.store.connection import mongo_client


@pytest.fixture
def harness(mongodb_uri, contracts, tmp_path):
    """A harness with default settings."""
    name = f"privacy_{tmp_path.name[-30:]}".replace(".", "_")
    with mongo_client(Settings(mongodb_database=name), mongodb_uri) as client:
        client.drop_database(name)
        yield PrivacyHarness(list(contracts.values()), client[name], tmp_path)
        client.drop_database(name)
