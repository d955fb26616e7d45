"""A contract file is enough to serve an API that has no law of its own."""

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


def exchanged(application, *requests):
    """Send requests one after the other and return the answers."""

    async def send():
        transport = httpx.ASGITransport(application)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            return [await client.request(method, path, **more) for method, path, more in requests]

    return asyncio.run(send())


def test_its_resources_are_made_found_changed_and_deleted(application):
    path = f"{MOUNT}/troubleTicket"
    (made,) = exchanged(application, ("POST", path, {"json": TICKET}))
    assert made.status_code == 201, made.text
    place = made.headers["location"]
    assert place.startswith(f"http://127.0.0.1{path}/")
    found, listed, changed, gone, missing = exchanged(
        application,
        ("GET", place, {}),
        ("GET", f"{path}?name=No+light&fields=name", {}),
        ("PATCH", place, {"json": {"status": "closed"}}),
        ("DELETE", place, {}),
        ("GET", place, {}),
    )
    assert found.json()["engagedParty"]["id"] == "7"
    assert [one["name"] for one in listed.json()] == ["No light"]
    assert changed.json()["status"] == "closed"
    assert (gone.status_code, missing.status_code) == (204, 404)


def test_its_events_reach_its_subscribers(application):
    exchanged(application, ("POST", f"{MOUNT}/troubleTicket", {"json": TICKET}))
    engine = application.readiness.engine
    event = engine.database["TroubleTicket"].find_one()["events"][0]
    shown = engine.render_event(event, Audience("TMF621", "v4", "http://x"))
    assert shown["eventType"] == "TroubleTicketCreateEvent"
    assert shown["event"]["troubleTicket"]["name"] == "No light"
