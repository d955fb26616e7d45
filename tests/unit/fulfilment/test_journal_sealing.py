"""Personal characteristics in the journal: sealed when written, opened when read."""

import copy

import bson
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tmf_apis.fulfilment.execution.journal_sealing import JournalSealer
from tmf_apis.security.personal_attributes import PersonalAttributes
from tmf_apis.store.data_keys import DataKey

DOCUMENT = {
    "_id": "t:1/1",
    "plan": {
        "product": {"characteristics": {"email": "ada@example.net", "downstream": 100}},
        "services": [{"settings": {"Birth-Date": {"day": 1}, "vlan": 7}}],
    },
}


class StaticKeys:
    """One data key."""

    def __init__(self):
        self.key = DataKey("k", b"0" * 32, AESGCM(b"0" * 32))

    def active(self, tenant, subject):
        return self.key

    def get_many(self, ids):
        return dict.fromkeys(ids, self.key)


@pytest.fixture
def sealer():
    return JournalSealer(StaticKeys(), PersonalAttributes(), encrypt=True)


def test_a_sealed_document_has_no_personal_value_and_opens_to_the_original(sealer):
    sealed = sealer.seal("t", copy.deepcopy(DOCUMENT))
    assert b"ada@" not in bson.encode(sealed)
    assert sealed["plan"]["product"]["characteristics"]["downstream"] == 100
    sealer.open([sealed])
    assert sealed == DOCUMENT


def test_a_document_without_personal_values_stays_as_it_is(sealer):
    document = {"_id": "t:1/2", "plan": {"characteristics": {"downstream": 100}}}
    assert sealer.seal("t", document) is document
