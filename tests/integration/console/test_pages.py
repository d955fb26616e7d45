"""The pages and documents of a running server, as browsers and programs receive them."""

import re

import httpx
import pytest
import yaml
from openapi_spec_validator import OpenAPIV30SpecValidator

from tests.support.contract_collections import CONTRACTS
from tmf_apis.rest.contracts.documents import resolve_reference
from tmf_apis.rest.contracts.flat_document import flat_document
from tmf_apis.rest.contracts.served_document import served_document

MOUNTS = [(contract, mount) for contract in CONTRACTS for mount in contract.mounts]
PAGE = {"Accept": "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8"}
PAGES = ["/", "/lifecycle", "/lifecycle/ProductOrder", "/console/deliveries"]


@pytest.fixture(scope="module")
def client(server):
    with server.client() as client:
        yield client


@pytest.fixture(scope="module")
def anonymous(authenticated_server):
    with authenticated_server.client() as client:
        yield client


def named(mounted):
    return mounted[1] if isinstance(mounted, tuple) else str(mounted)


def test_the_index_as_json_lists_all_apis(client):
    response = client.get("/")
    assert response.status_code == 200
    assert [item["id"] for item in response.json()] == [
        f"{c.number}-{c.version}" for c in CONTRACTS
    ]
    assert all(client.get(item["openapi"]).status_code == 200 for item in response.json()[:2])


def test_the_index_page_lists_all_apis(client):
    response = client.get("/", headers=PAGE)
    assert response.status_code == 200
    assert response.headers["content-type"].startswith("text/html")
    for contract in CONTRACTS:
        assert f'href="{contract.base_path}/docs"' in response.text
        assert f'href="{contract.base_path}/openapi.json"' in response.text
    for link in ("/health/ready", "/metrics", "/console/deliveries", "/lifecycle"):
        assert f'href="{link}"' in response.text


@pytest.mark.parametrize("mounted", MOUNTS, ids=named)
@pytest.mark.parametrize("form", ["flat", "published"])
def test_the_served_document_is_the_whole_contract(client, server, mounted, form):
    contract, mount = mounted
    response = client.get(f"{mount}/openapi.json", params={"form": form})
    assert response.status_code == 200
    document = response.json()
    assert [item["url"] for item in document.pop("servers")] == [
        server.url + m for m in contract.mounts
    ]
    if form == "flat":
        expected = flat_document(served_document(contract))
        assert document == {k: v for k, v in expected.items() if k != "servers"}
        return
    published = {k: v for k, v in contract.document.items() if k != "servers"}
    assert_contains(document, published, contract.document)


def test_the_flat_form_is_the_default_and_another_form_is_refused(client):
    path = f"{CONTRACTS[0].base_path}/openapi.json"
    assert client.get(path).content == client.get(path, params={"form": "flat"}).content
    refused = client.get(path, params={"form": "round"})
    assert refused.status_code == 400
    assert refused.json()["message"] == "form=round: allowed are flat and published"


def assert_contains(document, part, whole):
    """Check that a document has all of a part; additions are marked, except for examples.

    A reference to a component can be replaced by the component with an example.
    """
    if "$ref" in part and "$ref" not in document and isinstance(part["$ref"], str):
        part = resolve_reference(whole, part)
    for name, value in part.items():
        if isinstance(value, dict):
            assert_contains(document[name], value, whole)
        elif isinstance(value, list) and value and isinstance(value[0], dict):
            for item, expected in zip(document[name], value, strict=False):
                assert_contains(item, expected, whole)
            rest = document[name][len(value) :]
            assert all("x-addition" in item or "example" in item for item in rest)
        else:
            assert document[name] == value
    for name in document.keys() - part.keys() - {"example"}:
        added = document[name].get("get", document[name])
        assert "x-addition" in added, name


@pytest.mark.parametrize("contract", CONTRACTS, ids=lambda c: f"{c.number}-{c.version}")
def test_the_served_document_is_valid(contract):
    OpenAPIV30SpecValidator(served_document(contract)).validate()


@pytest.mark.parametrize("mounted", MOUNTS, ids=named)
def test_every_api_has_a_page(client, mounted):
    contract, mount = mounted
    response = client.get(f"{mount}/docs", headers=PAGE)
    assert response.status_code == 200
    assert f'data-url="{contract.base_path}/openapi.json?form=published"' in response.text
    assert contract.number in response.text


def test_a_document_that_the_client_has_is_not_sent_again(client):
    path = f"{CONTRACTS[0].base_path}/openapi.json"
    first = client.get(path)
    again = client.get(path, headers={"If-None-Match": first.headers["ETag"]})
    assert (first.status_code, again.status_code, again.content) == (200, 304, b"")


def test_a_document_is_served_as_yaml_too(client):
    contract = next(
        contract
        for contract in CONTRACTS
        if (contract.number, contract.version) == ("TMF620", "v4")
    )
    response = client.get(f"{contract.base_path}/openapi.yaml")
    assert response.status_code == 200
    assert yaml.load(response.text, yaml.CSafeLoader) == served_document(contract)


def test_the_base_path_redirects_browsers_and_answers_json_to_programs(client):
    base = CONTRACTS[0].base_path
    for path in (base, f"{base}/"):
        redirect = client.get(path, headers=PAGE)
        assert (redirect.status_code, redirect.headers["location"]) == (302, f"{base}/docs")
        assert client.get(path).json()["openapi"].endswith(f"{base}/openapi.json")


def test_an_unknown_path_below_a_mount_is_404(client):
    response = client.get(f"{CONTRACTS[0].base_path}/nothing", headers=PAGE)
    assert (response.status_code, response.json()["code"]) == (404, "60")


@pytest.mark.parametrize("path", [*PAGES, f"{CONTRACTS[0].base_path}/docs"])
def test_pages_load_only_own_files_and_have_no_inline_script_or_style(client, path):
    response = client.get(path, headers=PAGE)
    assert response.status_code == 200
    assert "default-src 'self'" in response.headers["content-security-policy"]
    assert "unsafe" not in response.headers["content-security-policy"]
    assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\son\w+=|\sstyle=", response.text)
    loaded = re.findall(r'<(?:script|link|img)\b[^>]*(?:src|href)="([^"]*)"', response.text)
    assert loaded
    for url in loaded:
        assert url.startswith("/console/")
        assert client.get(url).status_code == 200


@pytest.mark.parametrize("path", PAGES)
def test_pages_need_no_token(anonymous, path):
    assert anonymous.get(path, headers=PAGE).status_code == 200


def test_a_page_asks_for_a_token_if_authentication_is_on(client, anonymous):
    for path in ("/console/deliveries", f"{CONTRACTS[0].base_path}/docs"):
        assert 'id="token"' in anonymous.get(path, headers=PAGE).text
        assert 'id="token"' not in client.get(path, headers=PAGE).text


def test_the_state_machines_are_readable_without_a_token(anonymous):
    response = anonymous.get("/lifecycle")
    assert response.status_code == 200
    machines = {item["id"]: item for item in response.json()}
    assert {"ProductOrder", "ProductOrderItem", "ProductOffering", "Customer"} <= machines.keys()
    machine = anonymous.get("/lifecycle/ProductOrder")
    assert machine.json() == machines["ProductOrder"]
    assert "cancelled" in machine.json()["final"]


def test_every_state_machine_has_a_page_with_its_states(client):
    for machine in client.get("/lifecycle").json():
        page = client.get(f"/lifecycle/{machine['id']}", headers=PAGE)
        assert page.status_code == 200
        assert all(state in page.text for state in machine["states"])


def test_an_unknown_state_machine_is_404_as_json(client):
    response = client.get("/lifecycle/<script>", headers=PAGE)
    assert response.status_code == 404
    assert response.headers["content-type"] == "application/json"


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
def test_errors_of_the_pages_have_the_error_body(client, method, path, status):
    response = client.request(method, path)
    assert response.status_code == status
    if status >= 400:
        assert response.json()["status"] == str(status)
        assert response.json()["@type"] == "Error"


def test_an_invalid_host_header_is_refused(server):
    response = httpx.get(f"{server.url}/", headers={"Host": "a b<"})
    assert response.status_code == 400


def test_the_metrics_include_the_backlog(client):
    text = client.get("/metrics").text
    assert "tmf_backlog_known 1.0" in text
    assert re.search(r'tmf_deliveries\{state="parked"\} \d', text)
    assert re.search(r"tmf_pending_events \d", text)
