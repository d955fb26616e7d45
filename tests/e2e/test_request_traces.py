"""A request is followed by its id and its trace through the server, the worker and the events."""

import json
import secrets

import pytest

from tests.support.callback_listener import CallbackListener
from tests.support.fulfilment_harness import CATALOG_DEFAULTS
from tests.support.server import ServerProcess
from tests.support.trace_collector import TraceCollector
from tests.support.waiting import wait_until

API = "/tmf-api"
ORDERS = f"{API}/productOrderingManagement/v5"
OFFERINGS = f"{API}/productCatalogManagement/v5/productOffering"
PRODUCTS = f"{API}/productInventory/v4"


@pytest.fixture(scope="module")
def collector():
    collector = TraceCollector()
    yield collector
    collector.close()


@pytest.fixture(scope="module")
def listener():
    listener = CallbackListener()
    yield listener
    listener.close()


@pytest.fixture(scope="module")
def server(tmp_path_factory, collector):
    folder = tmp_path_factory.mktemp("traces") / "data"
    server = ServerProcess(folder, TMF_OTLP_ENDPOINT=collector.url, OTEL_BSP_SCHEDULE_DELAY="200")
    yield server.start()
    server.stop()


@pytest.fixture(scope="module")
def followed(server, listener):
    """The id and the trace of the request for an order that has been completed."""
    trace, id = secrets.token_hex(16), "portal/7:order=1"
    headers = {"X-Request-ID": id, "traceparent": f"00-{trace}-{'1' * 16}-01"}
    with server.client() as client:
        for api in (ORDERS, PRODUCTS):
            hub = {"@type": "Hub", "callback": listener.url}
            assert client.post(f"{api}/hub", json=hub).status_code == 201
        body = {"@type": "ProductOffering", "name": "Support", **CATALOG_DEFAULTS}
        reference = {
            "@type": "ProductOfferingRef",
            "id": client.post(OFFERINGS, json=body).json()["id"],
        }
        item = {
            "@type": "ProductOrderItem",
            "id": "1",
            "action": "add",
            "productOffering": reference,
        }
        order = {"@type": "ProductOrder", "productOrderItem": [item]}
        answer = client.post(f"{ORDERS}/productOrder", json=order, headers=headers)
        assert answer.status_code == 201, answer.text
        assert answer.headers["x-request-id"] == id
        href = answer.json()["href"]
        wait_until(lambda: client.get(href).json()["state"] == "completed", timeout=60)
    return id, trace


def test_events_of_the_order_and_of_its_product_name_the_request(followed, listener):
    id, trace = followed

    def types():
        return {event["eventType"] for event in list(listener.received)}

    wait_until(lambda: types() >= {"ProductOrderCreateEvent", "ProductOrderStateChangeEvent",
                                   "ProductCreateEvent"})  # fmt: skip
    assert {event["correlationId"] for event in listener.received} == {id}
    parents = {headers["traceparent"] for headers, _ in listener.requests}
    assert {parent[3:35] for parent in parents} == {trace}


def test_the_trace_leads_from_the_request_over_the_worker_to_the_delivery(followed, collector):
    _, trace = followed

    def names():
        return {span.name for span in collector.of_trace(trace)}

    expected = {"TMF622 v5 createProductOrder", "order-accept", "deliver event"}
    wait_until(lambda: names() >= expected)
    spans = {span.name: span for span in collector.of_trace(trace)}
    request = spans["TMF622 v5 createProductOrder"]
    assert (request.service, request.parent) == ("tmf-server", "1" * 16)
    assert request.attributes["http.response.status_code"] == 201
    assert spans["order-accept"].service == "tmf-worker"
    assert spans["order-accept"].parent == request.id
    assert "insert ProductOrder" in names()
    assert not any(span.is_error for span in collector.of_trace(trace))


def test_log_lines_of_the_request_have_its_id(followed, server):
    id, trace = followed
    lines = [json.loads(line) for line in server.log.splitlines() if line.startswith("{")]

    def access_line():
        return [line for line in lines if line.get("logger") == "tmf_apis.access"
                and line["request"] == id]  # fmt: skip

    (line,) = access_line()
    assert line["operation"] == "TMF622 v5 createProductOrder"
    assert (line["status"], line["outcome"], line["trace"]) == (201, "success", trace)
    assert line["ms"] > 0


def test_the_audit_log_names_the_request_in_the_entries_of_its_work(followed, server):
    id, _ = followed
    with server.client() as client:

        def kinds():
            rows = client.get("/admin/audit-log", params={"requestId": id}).json()
            return {(row["kind"], row["operation"]) for row in rows}

        wait_until(
            lambda: (
                kinds()
                >= {("ProductOrder", "create"), ("ProductOrder", "change"), ("Product", "create")}
            )
        )
