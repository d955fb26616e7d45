"""The orders whose texts quote no element, because a party can read them."""

import pytest

from tmf_apis.fulfilment.execution.batch_committer import BatchCommitter
from tmf_apis.fulfilment.values import OrderKey

KEY = OrderKey("default", "1")
FOR_ADA = {"relatedParty": [{"role": "customer", "partyOrPartyRole": {"id": "ada"}}]}


@pytest.mark.parametrize(
    ("order", "owner", "has_readers"),
    [(FOR_ADA, None, True), ({}, frozenset({"ada"}), True), ({}, None, False)],
    ids=["for a customer", "placed by a party", "nobody's"],
)
@pytest.mark.parametrize("has_parties", [True, False])
def test_a_party_can_read_an_order_only_with_authentication(order, owner, has_readers, has_parties):
    committer = BatchCommitter(None, None, None, has_parties=has_parties)
    assert committer.has_party_readers(KEY, order, owner) is (has_readers and has_parties)
