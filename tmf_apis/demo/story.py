"""``tmf demo``: an order and a fault, told step by step, everything over HTTP."""

import logging
import os
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

import httpx
from rich.console import Console
from rich.text import Text

from adapters.values import Observed
from tmf_apis.demo.element import Element, running
from tmf_apis.demo.listener import Listener
from tmf_apis.demo.parts import PARTNER, party
from tmf_apis.demo.sites import sites
from tmf_apis.serving import Server
from tmf_apis.settings import Settings

T = TypeVar("T")

CATALOGUE = "/tmf-api/productCatalogManagement/v5"
ORDERING = "/tmf-api/productOrderingManagement/v5"
INVENTORY = "/tmf-api/resourceInventoryManagement/v5"
ALARMS = "/tmf-api/alarmManagement/v5"
CUSTOMERS = "/tmf-api/customerManagement/v5"
BILLS = "/tmf-api/customerBillManagement/v5"
#: What the subscriber wants to hear of.
_WANTED = {
    ORDERING: "ProductOrderCreateEvent,ProductOrderStateChangeEvent",
    INVENTORY: "ResourceStateChangeEvent",
    ALARMS: "AlarmCreateEvent,AlarmStateChangeEvent",
}
#: Longest wait for the server, and for one thing in the story to happen, in seconds.
START, PATIENCE = 120.0, 60.0
_OFFERING = "offering-fibre-100"
_FINAL = frozenset({"completed", "failed", "partial", "cancelled", "rejected"})


class Unfinished(Exception):
    """Something that the story waits for did not happen; the message says what."""


class Story:
    """The steps, each by what a client sees."""

    def __init__(self, base: str, element: Element, console: Console) -> None:
        """Take the stage.

        Args:
            base: URL of the server.
            element: The gateway.
            console: Where it is told.
        """
        self._base, self._element, self._console = base, element, console
        self._http = httpx.Client(base_url=base, timeout=20)
        self._step = 0
        self._links: dict[str, str] = {"All APIs": base + "/"}

    def tell(self) -> None:
        """Tell it from the beginning to the end.

        Raises:
            Unfinished: Something did not happen in time.
            HTTPError: The server does not answer.
        """
        self._offering()
        with Listener(self._heard) as listener:
            hubs = self._subscribe(listener)
            service = self._order()
            port = self._port(service)
            alarm = self._fault(port)
            last = partial(self._cleared, listener, alarm)
            self._until(last, "the event of the alarm's end")
            self._say("What the subscriber got", f"{len(listener.events)} events, listed above")
            for hub in hubs:
                self._http.delete(hub).raise_for_status()
        self._urls()

    def _say(self, title: str, text: str = "") -> None:
        self._step += 1
        self._console.print(f"\n[bold]{self._step}. {title}[/bold]", highlight=False)
        if text:
            self._tell(text)

    def _tell(self, text: str) -> None:
        self._console.print(f"   {text}", highlight=False, soft_wrap=True, markup=False)

    def _heard(self, event: dict[str, Any]) -> None:
        payload: dict[str, Any] = next(iter(event.get("event", {}).values()), {})
        state = payload.get("state") or payload.get("usageState") or ""
        name = payload.get("name") or payload.get("specificProblem") or payload.get("id", "")
        text = Text("   event ", style="dim").append(event["eventType"], style="not dim cyan")
        text.append(f" {name} {state}")
        self._console.print(text, highlight=False, soft_wrap=True)

    def _get(self, path: str, **query: str) -> Any:  # noqa: ANN401
        answer = self._http.get(path, params=query)
        answer.raise_for_status()
        return answer.json()

    def _offering(self) -> None:
        path = f"{CATALOGUE}/productOffering/{_OFFERING}"
        offering = self._get(path)
        self._say(f"The offering {offering['name']}", offering["description"])
        for price in offering["productOfferingPrice"]:
            found = self._get(f"{CATALOGUE}/productOfferingPrice/{price['id']}")
            money = found["price"]
            self._tell(f"{found['name']}: {money['value']:.2f} {money['unit']} without tax")
        self._links["The offering"] = self._base + path

    def _subscribe(self, listener: Listener) -> list[str]:
        self._say("A subscriber registers with three hubs", f"it listens at {listener.callback}")
        made = []
        for api, types in _WANTED.items():
            body = {"@type": "Hub", "callback": listener.callback, "query": f"eventType={types}"}
            answer = self._http.post(f"{api}/hub", json=body)
            answer.raise_for_status()
            self._tell(f"{api}/hub: {types.replace(',', ', ')}")
            made.append(f"{api}/hub/{answer.json()['id']}")
        return made

    @staticmethod
    def _cleared(listener: Listener, alarm: str) -> bool | None:
        """Return whether the subscriber has heard of the end of an alarm; None: not yet."""
        told = [one["event"]["alarm"] for one in listener.events if "alarm" in one["event"]]
        ended = any(one["id"] == alarm and one.get("state") == "cleared" for one in told)
        return ended or None

    def _order(self) -> str:
        """Place the order and wait for it; return the id of the service that it made."""
        customer = self._get(f"{CUSTOMERS}/customer", status="Active", limit="1")[0]
        self._say(f"{PARTNER[1]}, a partner, orders it for {customer['name']}")
        buyer = {
            "@type": "RelatedPartyRefOrPartyRoleRef",
            "role": "customer",
            "partyOrPartyRole": {
                "@type": "PartyRoleRef",
                "@referredType": "Customer",
                "id": customer["id"],
                "name": customer["name"],
                "partyId": customer["engagedParty"]["id"],
            },
        }
        place = {
            "@type": "RelatedPlaceRefOrValue",
            "role": "installation",
            "place": sites()[0].reference,
        }
        item = {
            "@type": "ProductOrderItem",
            "id": "1",
            "action": "add",
            "quantity": 1,
            "productOffering": {"@type": "ProductOfferingRef", "id": _OFFERING},
            "product": {"@type": "Product", "place": [place]},
        }
        body = {
            "@type": "ProductOrder",
            "description": "Fibre 100, ordered by a partner",
            "relatedParty": [buyer, party(*PARTNER, "seller")],
            "productOrderItem": [item],
        }
        started = time.monotonic()
        answer = self._http.post(f"{ORDERING}/productOrder", json=body)
        answer.raise_for_status()
        id = answer.json()["id"]
        path = f"{ORDERING}/productOrder/{id}"

        def ended() -> dict[str, Any] | None:
            found: dict[str, Any] = self._get(path)
            return found if found["state"] in _FINAL else None

        order = self._until(ended, f"the order {id} to be fulfilled")
        seconds = time.monotonic() - started
        self._links["The order"] = self._base + path
        if order["state"] != "completed":
            raise Unfinished(f"the order is {order['state']}: {order.get('note')}")
        self._tell(f"order {id} is {order['state']} after {seconds:.1f} s")
        return f"{id}-1"

    def _port(self, service: str) -> dict[str, Any]:
        """Show the port on the element and in the inventory; return it."""
        target = self._element.target
        why = self._element.simulated
        kind = f"simulated ({why})" if why else "net-snmp in a network of its own"
        self._say(f"The element itself, {target.name}, read back over SNMP", kind)
        seen = self._until(lambda: self._element.read(service), "the element to show the service")
        self._tell(
            f"port {seen.port}: {_megabits(seen, 'downstream')} Mbit/s down,"
            f" {_megabits(seen, 'upstream')} Mbit/s up, service {seen.service_id}"
        )
        (port,) = self._get(f"{INVENTORY}/resource", **{"externalIdentifier.id": service})
        named = {one["name"]: one.get("value") for one in port["resourceCharacteristic"]}
        self._say("The same port in the inventory (TMF639)", port["name"])
        self._tell(
            f"usageState {port['usageState']}, operationalState {port['operationalState']},"
            f" {named['downstreamSpeed']}/{named['upstreamSpeed']} Mbit/s"
        )
        self._links["The port"] = f"{self._base}{INVENTORY}/resource/{port['id']}"
        return {**port, "portName": named["portName"]}

    def _fault(self, port: dict[str, Any]) -> str:
        """Break the line and mend it; return the id of the alarm."""
        query = {"alarmedObject.id": port["id"]}

        def alarm(state: set[str]) -> dict[str, Any] | None:
            found = self._get(f"{ALARMS}/alarm", **query)
            return next((one for one in found if one["state"] in state), None)

        self._say(f"Somebody cuts the cable of {port['name']}")
        self._element.gateway.cut(port["portName"])
        raised = self._until(lambda: alarm({"raised", "updated"}), "the alarm")
        count = len(self._get(f"{ALARMS}/alarm", **query))
        self._tell(
            f"{count} alarm: {raised['specificProblem']}, {raised['perceivedSeverity']},"
            f" {raised['probableCause']}; affects"
            f" {', '.join(one['id'] for one in raised.get('affectedService', ())) or 'nobody'}"
        )
        self._links["The alarm"] = f"{self._base}{ALARMS}/alarm/{raised['id']}"
        self._say("The cable is mended")
        self._element.gateway.mend(port["portName"])
        cleared = self._until(lambda: alarm({"cleared"}), "the alarm to clear")
        self._tell(f"the alarm is cleared since {cleared['alarmClearedTime']}")
        return str(cleared["id"])

    def _until(self, question: Callable[[], T | None], what: str) -> T:
        end = time.monotonic() + PATIENCE
        while (answer := question()) is None:
            if time.monotonic() > end:
                raise Unfinished(f"waited {PATIENCE:g} s in vain for {what}")
            time.sleep(0.1)
        return answer

    def _urls(self) -> None:
        more = {
            "Orders in progress": f"{ORDERING}/productOrder?state=inProgress",
            "Open alarms": f"{ALARMS}/alarm?state=raised&sort=-alarmRaisedTime",
            "Unpaid bills": f"{BILLS}/customerBill?state=sent",
            "Customers, v4": "/tmf-api/customerManagement/v4/customer?limit=5",
        }
        self._say("Look around")
        for name, url in {**self._links, **{n: self._base + p for n, p in more.items()}}.items():
            self._tell(f"{name:20}{url}")


def tell(settings: Settings, *, port: int, leave: bool, real: bool = True) -> int:
    """Serve the demo operator and tell the story; return the exit status.

    Args:
        settings: The configuration.
        port: TCP port; 0 for a free one.
        leave: End after the story instead of serving on.
        real: Whether to try for a real gateway.

    Raises:
        CannotStart: The server cannot start.
    """
    console = Console()
    logging.basicConfig(level=logging.ERROR, format="%(levelname)s %(message)s", force=True)
    failed: list[str] = []
    with running(settings.data_dir, real=real) as element:
        here = replace(settings, auth="off", credentials_file=os.environ["TMF_CREDENTIALS_FILE"])
        server = Server(here, host="127.0.0.1", port=port, fill=element.fill)
        thread = threading.Thread(
            target=_narrate, args=(server, element, console, failed), kwargs={"leave": leave},
            daemon=True,
        )  # fmt: skip
        thread.start()
        status = server.run()
    return 1 if failed else status


def _narrate(
    server: Server, element: Element, console: Console, failed: list[str], *, leave: bool
) -> None:
    started = time.monotonic()
    try:
        with console.status("Starting") as status:
            base = _ready(server, status.update)
        console.print(f"Ready after {time.monotonic() - started:.1f} s at {base}", highlight=False)
        Story(base, element, console).tell()
    except (Unfinished, httpx.HTTPError) as error:
        failed.append(str(error))
        console.print(f"[red]The story stops here:[/red] {error}")
    took = time.monotonic() - started
    console.print(f"\nThat took {took:.1f} s.", highlight=False)
    if leave:
        os.kill(os.getpid(), signal.SIGTERM)
    else:
        console.print("Serving until you press Ctrl-C.")


def _ready(server: Server, tell: Callable[[str], None]) -> str:
    """Wait for the server, and return its URL."""
    end = time.monotonic() + START
    while time.monotonic() < end:
        base = f"http://127.0.0.1:{server.port}"
        try:
            answer = httpx.get(f"{base}/health/ready", timeout=5).json()
        except (httpx.HTTPError, ValueError):
            answer = {"message": "the server is starting"}
        if answer.get("status") == "ready":
            return base
        tell(str(answer.get("message") or "the server is starting"))
        time.sleep(0.1)
    raise Unfinished("the server is not ready; see the logs in its data directory")


def _megabits(seen: Observed, setting: str) -> str:
    return f"{int(seen.settings.get(setting, 0)) / 10**6:g}"
