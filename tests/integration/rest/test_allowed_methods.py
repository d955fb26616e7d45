"""``Allow`` and the served contract name the methods that work, at every path of every contract."""

import pytest

from tests.support.contract_collections import CONTRACTS

#: Methods that the document has no need to describe.
IMPLIED = {"OPTIONS"}
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "TRACE")


def documented_methods(item):
    """Return the methods that ``Allow`` must name for a path of a document."""
    methods = {name.upper() for name in item if name.upper() in METHODS} | IMPLIED
    return methods | ({"HEAD"} if "GET" in methods else set())


@pytest.mark.parametrize("contract", CONTRACTS, ids=lambda c: f"{c.number}-{c.version}")
def test_allow_and_the_document_name_exactly_the_methods_that_work(api, contract):
    paths = api.get(f"{contract.base_path}/openapi.json").json()["paths"]
    for path, item in paths.items():
        url = contract.base_path + path.replace("{id}", "no-such-id")
        options = api.options(url)
        allowed = set(options.headers["allow"].split(", "))
        assert (options.status_code, options.content) == (204, b""), url
        assert allowed == documented_methods(item), url
        assert ("accept-patch" in options.headers) == ("PATCH" in allowed)
        for method in METHODS:
            response = api.request(method, url, json={})
            assert (response.status_code != 405) == (method in allowed), (method, url)
            if response.status_code == 405:
                assert set(response.headers["allow"].split(", ")) == allowed
