"""An engine on an empty database, with a customer and its resources."""

import pytest

from tests.support.privacy_harness import PrivacyHarness
from tests.support.repositories import remove_documents
from tmf_apis.settings import Settings
from tmf_apis.store.connection import mongo_client

DATABASE = "privacy"


@pytest.fixture
def harness(mongodb_uri, contracts, tmp_path):
    """A harness with default settings."""
    with mongo_client(Settings(mongodb_database=DATABASE), mongodb_uri) as client:
        remove_documents(client[DATABASE])
        yield PrivacyHarness(list(contracts.values()), client[DATABASE], tmp_path)
