"""The pages and documents of a running server, as a browser and a program get them."""

import re

import httpx
import pytest

from tests.support.server import ROOT
from tmf_apis.rest.contracts.contract import load_contracts
from tmf_apis.rest.contracts.extensions import contract_extensions, extensions_by_base

CONTRACTS = load_contracts(ROOT / "openapi")
MOUNTS = [(contract, mount) for contract in CONTRACTS for mount in contract.mounts]
PAGE = {"Accept": "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8"}
PAGES = ["/", "/lifecycle", "/lifecycle/ProductOrder", "/console/deliveries"]


@pytest.fixture(scope="module")
def client(server):
    with server.client() as found:
        yield found


@pytest.fixture(scope="module")
def stranger(authenticated_server):
    with authenticated_server.client() as found:
        yield found


def named(mounted):
    return mounted[1] if isinstance(mounted, tuple) else str(mounted)


def test_the_index_lists_all_apis_to_a_program(client):
    answer = client.get("/")
    assert answer.status_code == 200
    assert [one["id"] for one in answer.json()] == [f"{c.number}-{c.version}" for c in CONTRACTS]
    assert all(client.get(one["openapi"]).status_code == 200 for one in answer.json()[:2])


def test_the_index_lists_all_apis_to_a_person(client):
    answer = client.get("/", headers=PAGE)
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/html")
    for contract in CONTRACTS:
        assert f'href="{contract.base_path}/docs"' in answer.text
        assert f'href="{contract.base_path}/openapi.json"' in answer.text
    for link in ("/health/ready", "/metrics", "/console/deliveries", "/lifecycle"):
        assert f'href="{link}"' in answer.text


@pytest.mark.parametrize("mounted", MOUNTS, ids=named)
def test_the_served_document_is_the_whole_contract(client, server, mounted):
    contract, mount = mounted
    answer = client.get(f"{mount}/openapi.json")
    assert answer.status_code == 200
    document = answer.json()
    assert [one["url"] for one in document.pop("servers")] == [
        server.url + m for m in contract.mounts
    ]
    assert document == {k: v for k, v in contract.document.items() if k != "servers"}


@pytest.mark.parametrize("mounted", MOUNTS, ids=named)
def test_every_api_has_a_page(client, mounted):
    contract, mount = mounted
    answer = client.get(f"{mount}/docs", headers=PAGE)
    assert answer.status_code == 200
    assert f'data-url="{mount}/openapi.json"' in answer.text
    assert contract.number in answer.text


def test_a_document_that_the_client_has_is_not_sent_again(client):
    path = f"{CONTRACTS[0].base_path}/openapi.json"
    first = client.get(path)
    again = client.get(path, headers={"If-None-Match": first.headers["ETag"]})
    assert (first.status_code, again.status_code, again.content) == (200, 304, b"")


def test_a_document_is_served_as_yaml_too(client):
    contract = next(one for one in CONTRACTS if (one.number, one.version) == ("TMF620", "v4"))
    answer = client.get(f"{contract.base_path}/openapi.yaml")
    assert answer.status_code == 200
    assert answer.text == (ROOT / "openapi/TMF620-v4.yaml").read_text()


def test_the_base_path_leads_a_person_to_the_page_and_a_program_to_the_document(client):
    base = CONTRACTS[0].base_path
    for path in (base, f"{base}/"):
        person = client.get(path, headers=PAGE)
        assert (person.status_code, person.headers["location"]) == (302, f"{base}/docs")
        assert client.get(path).json()["openapi"].endswith(f"{base}/openapi.json")


def test_what_no_contract_has_is_still_404_below_a_mount(client):
    answer = client.get(f"{CONTRACTS[0].base_path}/nothing", headers=PAGE)
    assert (answer.status_code, answer.json()["code"]) == (404, "60")


@pytest.mark.parametrize("path", [*PAGES, f"{CONTRACTS[0].base_path}/docs"])
def test_pages_load_nothing_from_elsewhere_and_have_no_script_or_style_inside(client, path):
    answer = client.get(path, headers=PAGE)
    assert answer.status_code == 200
    assert "default-src 'self'" in answer.headers["content-security-policy"]
    assert "unsafe" not in answer.headers["content-security-policy"]
    assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\son\w+=|\sstyle=", answer.text)
    loaded = re.findall(r'<(?:script|link|img)\b[^>]*(?:src|href)="([^"]*)"', answer.text)
    assert loaded
    for one in loaded:
        assert one.startswith("/console/")
        assert client.get(one).status_code == 200


@pytest.mark.parametrize("path", PAGES)
def test_pages_are_the_same_for_who_has_no_token(stranger, path):
    assert stranger.get(path, headers=PAGE).status_code == 200


def test_a_page_asks_for_a_token_where_one_is_needed(client, stranger):
    for path in ("/console/deliveries", f"{CONTRACTS[0].base_path}/docs"):
        assert 'id="token"' in stranger.get(path, headers=PAGE).text
        assert 'id="token"' not in client.get(path, headers=PAGE).text


def test_the_state_machines_are_readable_without_a_token(stranger):
    answer = stranger.get("/lifecycle")
    assert answer.status_code == 200
    found = {one["id"]: one for one in answer.json()}
    assert {"ProductOrder", "ProductOrderItem", "ProductOffering", "Customer"} <= found.keys()
    one = stranger.get("/lifecycle/ProductOrder")
    assert one.json() == found["ProductOrder"]
    assert "cancelled" in one.json()["final"]


def test_every_machine_has_a_page_with_its_states(client):
    for machine in client.get("/lifecycle").json():
        page = client.get(f"/lifecycle/{machine['id']}", headers=PAGE)
        assert page.status_code == 200
        assert all(state in page.text for state in machine["states"])


def test_an_unknown_machine_is_404_and_what_it_was_called_is_not_markup(client):
    answer = client.get("/lifecycle/<script>", headers=PAGE)
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/json"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nothing", 404),
        ("GET", "/console/static/../pages.py", 404),
        ("GET", "/console/static/%2e%2e/pages.py", 404),
        ("GET", "/console/static/..%2fpages.py", 404),
        ("GET", "/console/swagger/index.html", 404),
        ("GET", "/nothing/%00%ff%c0%af", 404),
        ("POST", "/", 405),
        ("DELETE", "/lifecycle", 405),
        ("GET", f"/{'x' * 9000}", 414),
        ("GET", "/?q=%ff%fe", 200),
    ],
)
def test_errors_of_the_pages_have_the_one_body(client, method, path, status):
    answer = client.request(method, path)
    assert answer.status_code == status
    if status >= 400:
        assert answer.json()["status"] == str(status)
        assert answer.json()["@type"] == "Error"


def test_a_host_header_that_is_none_is_refused(server):
    answer = httpx.get(f"{server.url}/", headers={"Host": "a b<"})
    assert answer.status_code == 400


def test_what_waits_is_among_the_figures(client):
    text = client.get("/metrics").text
    assert "tmf_backlog_known 1.0" in text
    assert re.search(r'tmf_deliveries\{state="parked"\} \d', text)
    assert re.search(r"tmf_pending_events \d", text)


def test_an_extension_is_known_where_its_base_is():
    schema = {"x-baseType": "ProductCatalog", "properties": {"shelf": {"type": "string"}}}
    found = {
        f"{c.number} {c.version}": list(
            extensions_by_base(contract_extensions({"Shop": schema}, c))
        )
        for c in CONTRACTS
        if contract_extensions({"Shop": schema}, c)
    }
    assert found == {"TMF620 v4": ["Catalog"], "TMF620 v5": ["ProductCatalog"]}
