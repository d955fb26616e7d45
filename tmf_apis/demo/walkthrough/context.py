"""Context of the steps: HTTP client, gateway, event listener and console."""

import time
from collections.abc import Callable
from typing import Any, TypeVar

import httpx
from rich.console import Console
from rich.text import Text

from tmf_apis.demo.gateway import DemoElement
from tmf_apis.demo.listener import EventListener

T = TypeVar("T")

CATALOGUE = "/tmf-api/productCatalogManagement/v5"
ORDERING = "/tmf-api/productOrderingManagement/v5"
PRODUCTS = "/tmf-api/productInventory/v4"
SERVICES = "/tmf-api/serviceInventory/v4"
RESOURCES = "/tmf-api/resourceInventoryManagement/v5"
ALARMS = "/tmf-api/alarmManagement/v5"
CUSTOMERS = "/tmf-api/customerManagement/v5"
BILLS = "/tmf-api/customerBillManagement/v5"
#: Maximum time to wait for an outcome, and interval at which it is polled, in seconds.
TIMEOUT, POLL_INTERVAL = 120.0, 0.05


class WalkthroughFailed(Exception):
    """An expected outcome did not occur; the message describes it."""


class WalkthroughContext:
    """HTTP client, gateway, event listener and console of a walkthrough.

    Attributes:
        base_url: URL of the server.
        element: The gateway.
        listener: Collects and prints the events.
        links: URLs to show at the end, by title.
    """

    def __init__(self, base_url: str, element: DemoElement, console: Console) -> None:
        """Create a context.

        Args:
            base_url: URL of the server.
            element: The gateway.
            console: Console for the output.
        """
        self.base_url, self.element = base_url, element
        self.listener = EventListener(self._print_event)
        self.links: dict[str, str] = {"All APIs": f"{base_url}/"}
        self._console = console
        self._http = httpx.Client(base_url=base_url, timeout=20)
        self._step = 0
        self._printed_milestones: dict[str, set[str]] = {}

    def start_step(self, title: str, text: str = "") -> None:
        """Print the number and title of a new step."""
        self._step += 1
        self._console.print(f"\n[bold]{self._step}. {title}[/bold]", highlight=False)
        if text:
            self.print_line(text)

    def print_line(self, text: str) -> None:
        """Print an indented line."""
        self._console.print(f"   {text}", highlight=False, soft_wrap=True, markup=False)

    def get(self, path: str, **query: str) -> Any:  # noqa: ANN401
        """Send a GET request and return the body of the response.

        Raises:
            HTTPError: The server does not answer, or answers with an error.
        """
        return self._checked_response(self._http.get(path, params=query)).json()

    def post(self, path: str, body: object, **query: str) -> Any:  # noqa: ANN401
        """Send a POST request and return the body of the response.

        Raises:
            HTTPError: The server does not answer, or answers with an error.
        """
        return self._checked_response(self._http.post(path, json=body, params=query)).json()

    def patch(self, path: str, body: object) -> None:
        """Change a resource.

        Raises:
            HTTPError: The server does not answer, or answers with an error.
        """
        self._checked_response(self._http.patch(path, json=body))

    def delete(self, path: str) -> None:
        """Delete a resource.

        Raises:
            HTTPError: The server does not answer, or answers with an error.
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

    def wait_for(self, poll: Callable[[], T | None], description: str) -> T:
        """Call a function until its result is not None, and return the result.

        Args:
            poll: The function.
            description: Description of the outcome, for the error message.

        Raises:
            WalkthroughFailed: There was no result within ``TIMEOUT``.
        """
        end = time.monotonic() + TIMEOUT
        while (result := poll()) is None:
            if time.monotonic() > end:
                raise WalkthroughFailed(f"waited {TIMEOUT:g} s without success for {description}")
            time.sleep(POLL_INTERVAL)
        return result

    def wait_for_event(
        self, event_type: str, id: str, predicate: Callable[[dict[str, Any]], bool] = lambda _: True
    ) -> None:
        """Wait until the listener has received an event of a resource.

        Args:
            event_type: Type of the event.
            id: Id of the resource.
            predicate: Returns whether the resource in the event is the expected one.
        """

        def has_arrived() -> bool | None:
            resources = [
                _event_resource(event)
                for event in self.listener.events
                if event["eventType"] == event_type
            ]
            matches = (resource.get("id") == id and predicate(resource) for resource in resources)
            return any(matches) or None

        self.wait_for(has_arrived, f"{event_type} of {id}")

    def _print_event(self, event: dict[str, Any]) -> None:
        """Print an event; called in the threads of the listener."""
        kind = str(event["eventType"])
        resource = _event_resource(event)
        summary = (
            self._new_milestones(resource)
            if "Milestone" in kind
            else _event_summary(kind, resource)
        )
        text = Text("   event ", style="dim").append(kind, style="not dim cyan")
        self._console.print(text.append(f"  {summary}"), highlight=False, soft_wrap=True)

    def _new_milestones(self, order: dict[str, Any]) -> str:
        """Return the milestones of an order that were not printed yet, separated by commas."""
        reached = {
            milestone["name"]: ""
            if milestone["status"] == "Completed"
            else f" ({milestone['status'].lower()})"
            for milestone in order.get("productOrderMilestone", ())
            if milestone["status"] != "Yet-To-Reach"
        }
        before = self._printed_milestones.setdefault(order["id"], set())
        new = [f"{name}{suffix}" for name, suffix in reached.items() if name not in before]
        before.update(reached)
        return ", ".join(new)


def _event_resource(event: dict[str, Any]) -> dict[str, Any]:
    return next(iter(event.get("event", {}).values()), {})


def _event_summary(event_type: str, resource: dict[str, Any]) -> str:
    """Return a summary of the resource of an event."""
    for event_name in ("JeopardyAlert", "ErrorMessage"):
        if event_name in event_type:
            return str((resource.get(f"productOrder{event_name}") or [{}])[-1].get("message", ""))
    name = resource.get("specificProblem") or resource.get("description") or ""
    return f"{name} {resource.get('state', '')}".strip()
