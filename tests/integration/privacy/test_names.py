"""Names as personal data: encrypted, found by equality and by their beginning."""

import pytest

from tmf_apis.errors import Forbidden, InvalidQuery
from tmf_apis.rest.query.list_query import read_page
from tmf_apis.security.identity import Identity


def find(harness, *parameters, scopes=None):
    """Return the ids of the customers that match query parameters."""
    engine, identity = harness.engine, Identity("staff", "t", None, scopes)
    api = next(a for a in engine.apis.values() if a.contract.number == "TMF629")
    operation = next(o for o in api.contract.operations if o.action == "list")
    index = engine.codec.blind_index("Customer", identity)
    query = api.queries.parse(operation, list(parameters), index)
    page = read_page(engine.resources, "Customer", identity.read_filter(), query)
    return [document["id"] for document in page.documents]


def test_names_are_found_by_equality_and_by_their_beginning(harness):
    harness.restart(pii_names=True)
    harness.create_customer(name="Zqada Lovelace")
    harness.create_customer("c2", "p2", name="Zqbob Babbage")
    assert "Customer" not in harness.occurrences("Zqada")
    assert find(harness, ("name", "Zqada Lovelace")) == ["c1"]
    assert find(harness, ("engagedParty.name", "Zqbob Babbage")) == ["c2"]
    assert find(harness, ("name.regex", "^zqa")) == ["c1"]
    assert find(harness, ("name.regex", "^Zqbob b")) == ["c2"]
    assert find(harness, ("name.regex", "^Zqx")) == []
    for pattern in ("ada", "^Zq", "^Z.*b"):
        with pytest.raises(InvalidQuery, match="3 letters"):
            find(harness, ("name.regex", pattern))
    with pytest.raises(Forbidden, match="pii"):
        find(harness, ("name.regex", "^zqa"), scopes=frozenset({"tmf629:read"}))
