"""The published base paths of version 5 that differ from those of this server."""

import pytest

from tests.support.contract_collections import CONTRACTS, collection_of

ALIASES = [(c, alias) for c in CONTRACTS for alias in c.mounts[1:]]
#: A collection of each API that has aliases.
RESOURCES = {
    "TMF620": "category", "TMF622": "productOrder", "TMF629": "customer",
    "TMF639": "resource", "TMF642": "alarm", "TMF678": "customerBillOnDemand",
}  # fmt: skip


@pytest.mark.parametrize(("contract", "alias"), ALIASES, ids=[alias for _, alias in ALIASES])
def test_an_alias_serves_everything_with_links_to_the_base_path(
    api, authenticated_server, contract, alias
):
    collection = collection_of(contract, RESOURCES[contract.number])
    path, canonical = f"{alias}/{collection.resource}", collection.path
    created = api.post(path, json=collection.body(api))
    assert created.status_code == 201, created.text
    href = created.json()["href"]
    assert created.headers["location"] == href
    assert href.startswith(authenticated_server.url + canonical)
    id = href.rpartition("/")[2]
    assert api.get(f"{path}/{id}").json()["href"] == href
    for further_id in ("a%2Fb", "..%2F..%2Fadmin"):
        answers = [api.get(f"{base}/{further_id}") for base in (path, canonical)]
        assert answers[0].json() == answers[1].json()
        assert "there is no" in answers[0].json()["message"]
    assert api.post(path, json=collection.body(api)).status_code == 201
    listed = api.get(path, params={"limit": 1})
    assert listed.status_code == 206
    assert f"<{authenticated_server.url}{canonical}?" in listed.headers["link"]
    hub = api.post(f"{alias}/hub", json={"@type": "Hub", "callback": "http://127.0.0.1:9/x"})
    assert hub.status_code == 201
    hub_id = hub.json()["id"]
    assert [row["id"] for row in api.get(f"{contract.base_path}/hub").json()] == [hub_id]
    assert api.get(f"{alias}/hub/{hub_id}").status_code == 200
    assert api.delete(f"{alias}/hub/{hub_id}").status_code == 204
    assert api.get(f"{alias}/nothing").status_code == 404
    assert api.put(path, json={}).status_code == 405
    with authenticated_server.client() as anonymous:
        assert anonymous.get(path).status_code == 401
        assert anonymous.get(f"{alias}/openapi.json").json()["openapi"]


@pytest.mark.parametrize("contract", CONTRACTS, ids=lambda c: f"{c.number}-{c.version}")
def test_a_client_finds_its_own_subscriptions_only(authenticated_server, tenant, contract):
    scope = f"{contract.number.lower()}:subscribe"

    def client(parties=None, scopes=(scope,), tenant=tenant):
        token = authenticated_server.token(tenant=tenant, parties=parties, scopes=scopes)
        return authenticated_server.client(token)

    hub = f"{contract.base_path}/hub"
    body = {"@type": "Hub", "callback": "http://127.0.0.1:9/x"}
    with client(["alice"]) as alice, client(["bob"]) as bob, client() as operator:
        own, others = (each.post(hub, json=body).json()["id"] for each in (alice, bob))
        listed = alice.get(hub)
        assert [row["id"] for row in listed.json()] == [own]
        assert listed.headers["X-Total-Count"] == "1"
        assert alice.get(f"{hub}/{own}").json()["callback"] == body["callback"]
        assert alice.get(f"{hub}/{others}").status_code == 404
        assert {row["id"] for row in operator.get(hub).json()} == {own, others}
    with client(scopes=("tmf620:read",)) as reader:
        assert reader.get(hub).status_code == 403
    with client(tenant=f"{tenant}x") as foreign:
        assert foreign.get(hub).json() == []
        assert foreign.get(f"{hub}/{own}").status_code == 404
