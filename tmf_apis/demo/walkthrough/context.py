"""What every chapter stands on: the server over HTTP, the element, the listener, the console."""

import time
from collections.abc import Callable
from typing import Any, TypeVar

import httpx
from rich.console import Console
from rich.text import Text

from tmf_apis.demo.gateway import DemoElement
from tmf_apis.demo.listener import EventListener

Answer = TypeVar("Answer")

CATALOGUE = "/tmf-api/productCatalogManagement/v5"
ORDERING = "/tmf-api/productOrderingManagement/v5"
PRODUCTS = "/tmf-api/productInventory/v4"
SERVICES = "/tmf-api/serviceInventory/v4"
RESOURCES = "/tmf-api/resourceInventoryManagement/v5"
ALARMS = "/tmf-api/alarmManagement/v5"
CUSTOMERS = "/tmf-api/customerManagement/v5"
BILLS = "/tmf-api/customerBillManagement/v5"
#: Longest wait for one thing in the story to happen, in seconds, and the pause between two looks.
TIMEOUT, POLL_INTERVAL = 120.0, 0.05


class WalkthroughFailed(Exception):
    """Something that the story waits for did not happen; the message says what."""


class WalkthroughContext:
    """The server as a client sees it, and who watches."""

    def __init__(self, base_url: str, element: DemoElement, console: Console) -> None:
        """Take the stage.

        Args:
            base_url: URL of the server.
            element: The gateway.
            console: Where it is told.
        """
        self.base_url, self.element = base_url, element
        self.listener = EventListener(self._print_event)
        self.links: dict[str, str] = {"All APIs": f"{base_url}/"}
        self._console = console
        self._http = httpx.Client(base_url=base_url, timeout=20)
        self._step = 0
        self._printed_milestones: dict[str, set[str]] = {}

    def start_step(self, title: str, text: str = "") -> None:
        """Begin a step."""
        self._step += 1
        self._console.print(f"\n[bold]{self._step}. {title}[/bold]", highlight=False)
        if text:
            self.print_line(text)

    def print_line(self, text: str) -> None:
        """Tell something of the step."""
        self._console.print(f"   {text}", highlight=False, soft_wrap=True, markup=False)

    def get(self, path: str, **query: str) -> Any:  # noqa: ANN401
        """Return what a GET answers.

        Raises:
            HTTPError: It is not answered, or not well.
        """
        return self._checked_response(self._http.get(path, params=query)).json()

    def post(self, path: str, body: object, **query: str) -> Any:  # noqa: ANN401
        """Return what a POST answers.

        Raises:
            HTTPError: It is not answered, or not well.
        """
        return self._checked_response(self._http.post(path, json=body, params=query)).json()

    def patch(self, path: str, body: object) -> None:
        """Change a resource.

        Raises:
            HTTPError: It is not answered, or not well.
        """
        self._checked_response(self._http.patch(path, json=body))

    def delete(self, path: str) -> None:
        """Delete a resource.

        Raises:
            HTTPError: It is not answered, or not well.
        """
        self._checked_response(self._http.delete(path))

    @staticmethod
    def _checked_response(response: httpx.Response) -> httpx.Response:
        if response.is_error:
            message = (
                f"{response.request.method} {response.url}: {response.status_code} {response.text}"
            )
            raise httpx.HTTPStatusError(message, request=response.request, response=response)
        return response

    def wait_for(self, poll: Callable[[], Answer | None], description: str) -> Answer:
        """Return the first answer to a question that is not None.

        Raises:
            Unfinished: There was none in time.
        """
        end = time.monotonic() + TIMEOUT
        while (answer := poll()) is None:
            if time.monotonic() > end:
                raise WalkthroughFailed(f"waited {TIMEOUT:g} s in vain for {description}")
            time.sleep(POLL_INTERVAL)
        return answer

    def wait_for_event(
        self, event_type: str, id: str, predicate: Callable[[dict[str, Any]], bool] = lambda _: True
    ) -> None:
        """Wait until the listener has heard of a resource that is as it should be.

        Args:
            event_type: The type of the event.
            id: Id of the resource.
            predicate: Whether the resource, as the event has it, is as it should be.
        """

        def heard() -> bool | None:
            told = [
                _event_resource(one)
                for one in self.listener.events
                if one["eventType"] == event_type
            ]
            return any(one.get("id") == id and predicate(one) for one in told) or None

        self.wait_for(heard, f"{event_type} of {id}")

    def _print_event(self, event: dict[str, Any]) -> None:
        """Tell an event; the listener calls this, one thread for each of its callers."""
        kind = str(event["eventType"])
        resource = _event_resource(event)
        told = (
            self._new_milestones(resource)
            if "Milestone" in kind
            else _event_summary(kind, resource)
        )
        text = Text("   event ", style="dim").append(kind, style="not dim cyan")
        self._console.print(text.append(f"  {told}"), highlight=False, soft_wrap=True)

    def _new_milestones(self, order: dict[str, Any]) -> str:
        """Return the milestones that were not told before."""
        reached = {
            one["name"]: "" if one["status"] == "Completed" else f" ({one['status'].lower()})"
            for one in order.get("productOrderMilestone", ())
            if one["status"] != "Yet-To-Reach"
        }
        before = self._printed_milestones.setdefault(order["id"], set())
        new = [f"{name}{how}" for name, how in reached.items() if name not in before]
        before.update(reached)
        return ", ".join(new)


def _event_resource(event: dict[str, Any]) -> dict[str, Any]:
    return next(iter(event.get("event", {}).values()), {})


def _event_summary(event_type: str, resource: dict[str, Any]) -> str:
    """Return what an event is about, in a few words."""
    for sort in ("JeopardyAlert", "ErrorMessage"):
        if sort in event_type:
            return str((resource.get(f"productOrder{sort}") or [{}])[-1].get("message", ""))
    name = resource.get("specificProblem") or resource.get("description") or ""
    return f"{name} {resource.get('state', '')}".strip()
