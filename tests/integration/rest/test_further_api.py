"""A contract file is enough to serve an API without a policy of its own."""

import asyncio

import httpx
import pytest

from tests.support.paths import OPENAPI
from tmf_apis.app import Application, Engine, Readiness
from tmf_apis.events.envelope import Audience
from tmf_apis.rest.contracts.contract import load_contracts
from tmf_apis.security.tokens import TokenAuthenticator
from tmf_apis.settings import Settings

MOUNT = "/tmf-api/troubleTicket/v4"
TICKET = {"name": "No light", "engagedParty": {"id": "7", "@referredType": "Organization"}}


@pytest.fixture
def application(tmp_path, database):
    text = (OPENAPI / "TMF629-v4.yaml").read_text()
    for old, new in (
        ("customerManagement", "troubleTicket"),
        ("Customer", "TroubleTicket"),
        ("customer", "troubleTicket"),
        ("TMF629", "TMF621"),
        ("tmf629", "tmf621"),
    ):
        text = text.replace(old, new)
    (tmp_path / "TMF621-v4.yaml").write_text(text)
    (tmp_path / "TMF620-v5.yaml").write_text((OPENAPI / "TMF620-v5.yaml").read_text())
    settings = Settings(data_dir=tmp_path / "data", auth="off")
    contracts = load_contracts(tmp_path)
    engine = Engine(settings, contracts, database)
    engine.prepare()
    authenticator = TokenAuthenticator(settings, enabled=False, jwks="")
    application = Application(settings, contracts, authenticator, None, Readiness())
    application.attach_engine(engine)
    application.readiness.reason = ""
    return application


def responses_to(application, *requests):
    """Send requests one after the other and return the responses."""

    async def send():
        transport = httpx.ASGITransport(application)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            return [await client.request(method, path, **more) for method, path, more in requests]

    return asyncio.run(send())


def test_resources_of_a_further_api_are_created_read_changed_and_deleted(application):
    path = f"{MOUNT}/troubleTicket"
    (created,) = responses_to(application, ("POST", path, {"json": TICKET}))
    assert created.status_code == 201, created.text
    url = created.headers["location"]
    assert url.startswith(f"http://127.0.0.1{path}/")
    read, listed, changed, deleted, missing = responses_to(
        application,
        ("GET", url, {}),
        ("GET", f"{path}?name=No+light&fields=name", {}),
        ("PATCH", url, {"json": {"status": "closed"}}),
        ("DELETE", url, {}),
        ("GET", url, {}),
    )
    assert read.json()["engagedParty"]["id"] == "7"
    assert [item["name"] for item in listed.json()] == ["No light"]
    assert changed.json()["status"] == "closed"
    assert (deleted.status_code, missing.status_code) == (204, 404)


def test_events_of_a_further_api_are_rendered_for_subscribers(application):
    responses_to(application, ("POST", f"{MOUNT}/troubleTicket", {"json": TICKET}))
    engine = application.readiness.engine
    event = engine.database["TroubleTicket"].find_one()["events"][0]
    notification = engine.render_event(event, Audience("TMF621", "v4", "http://x"))
    assert notification["eventType"] == "TroubleTicketCreateEvent"
    assert notification["event"]["troubleTicket"]["name"] == "No light"
