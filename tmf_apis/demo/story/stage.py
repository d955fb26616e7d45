"""What every chapter stands on: the server over HTTP, the element, the listener, the console."""

import time
from collections.abc import Callable
from typing import Any, TypeVar

import httpx
from rich.console import Console
from rich.text import Text

from tmf_apis.demo.element import Element
from tmf_apis.demo.listener import Listener

T = TypeVar("T")

CATALOGUE = "/tmf-api/productCatalogManagement/v5"
ORDERING = "/tmf-api/productOrderingManagement/v5"
PRODUCTS = "/tmf-api/productInventory/v4"
SERVICES = "/tmf-api/serviceInventory/v4"
RESOURCES = "/tmf-api/resourceInventoryManagement/v5"
ALARMS = "/tmf-api/alarmManagement/v5"
CUSTOMERS = "/tmf-api/customerManagement/v5"
BILLS = "/tmf-api/customerBillManagement/v5"
#: Longest wait for one thing in the story to happen, in seconds, and the pause between two looks.
PATIENCE, PAUSE = 120.0, 0.05


class Unfinished(Exception):
    """Something that the story waits for did not happen; the message says what."""


class Stage:
    """The server as a client sees it, and who watches."""

    def __init__(self, base: str, element: Element, console: Console) -> None:
        """Take the stage.

        Args:
            base: URL of the server.
            element: The gateway.
            console: Where it is told.
        """
        self.base, self.element = base, element
        self.listener = Listener(self._heard)
        self.links: dict[str, str] = {"All APIs": f"{base}/"}
        self._console = console
        self._http = httpx.Client(base_url=base, timeout=20)
        self._step = 0
        self._reached: dict[str, set[str]] = {}

    def head(self, title: str, text: str = "") -> None:
        """Begin a step."""
        self._step += 1
        self._console.print(f"\n[bold]{self._step}. {title}[/bold]", highlight=False)
        if text:
            self.say(text)

    def say(self, text: str) -> None:
        """Tell something of the step."""
        self._console.print(f"   {text}", highlight=False, soft_wrap=True, markup=False)

    def get(self, path: str, **query: str) -> Any:  # noqa: ANN401
        """Return what a GET answers.

        Raises:
            HTTPError: It is not answered, or not well.
        """
        return self._good(self._http.get(path, params=query)).json()

    def post(self, path: str, body: object, **query: str) -> Any:  # noqa: ANN401
        """Return what a POST answers.

        Raises:
            HTTPError: It is not answered, or not well.
        """
        return self._good(self._http.post(path, json=body, params=query)).json()

    def patch(self, path: str, body: object) -> None:
        """Change a resource.

        Raises:
            HTTPError: It is not answered, or not well.
        """
        self._good(self._http.patch(path, json=body))

    def delete(self, path: str) -> None:
        """Delete a resource.

        Raises:
            HTTPError: It is not answered, or not well.
        """
        self._good(self._http.delete(path))

    @staticmethod
    def _good(answer: httpx.Response) -> httpx.Response:
        if answer.is_error:
            message = f"{answer.request.method} {answer.url}: {answer.status_code} {answer.text}"
            raise httpx.HTTPStatusError(message, request=answer.request, response=answer)
        return answer

    def until(self, question: Callable[[], T | None], what: str) -> T:
        """Return the first answer to a question that is not None.

        Raises:
            Unfinished: There was none in time.
        """
        end = time.monotonic() + PATIENCE
        while (answer := question()) is None:
            if time.monotonic() > end:
                raise Unfinished(f"waited {PATIENCE:g} s in vain for {what}")
            time.sleep(PAUSE)
        return answer

    def until_heard(
        self, kind: str, id: str, good: Callable[[dict[str, Any]], bool] = lambda _: True
    ) -> None:
        """Wait until the listener has heard of a resource that is as it should be.

        Args:
            kind: The type of the event.
            id: Id of the resource.
            good: Whether the resource, as the event has it, is as it should be.
        """

        def heard() -> bool | None:
            told = [_resource(one) for one in self.listener.events if one["eventType"] == kind]
            return any(one.get("id") == id and good(one) for one in told) or None

        self.until(heard, f"{kind} of {id}")

    def _heard(self, event: dict[str, Any]) -> None:
        """Tell an event; the listener calls this, one thread for each of its callers."""
        kind = str(event["eventType"])
        resource = _resource(event)
        told = self._milestones(resource) if "Milestone" in kind else _news(kind, resource)
        text = Text("   event ", style="dim").append(kind, style="not dim cyan")
        self._console.print(text.append(f"  {told}"), highlight=False, soft_wrap=True)

    def _milestones(self, order: dict[str, Any]) -> str:
        """Return the milestones that were not told before."""
        reached = {
            one["name"]: "" if one["status"] == "Completed" else f" ({one['status'].lower()})"
            for one in order.get("productOrderMilestone", ())
            if one["status"] != "Yet-To-Reach"
        }
        before = self._reached.setdefault(order["id"], set())
        new = [f"{name}{how}" for name, how in reached.items() if name not in before]
        before.update(reached)
        return ", ".join(new)


def _resource(event: dict[str, Any]) -> dict[str, Any]:
    return next(iter(event.get("event", {}).values()), {})


def _news(kind: str, resource: dict[str, Any]) -> str:
    """Return what an event is about, in a few words."""
    for sort in ("JeopardyAlert", "ErrorMessage"):
        if sort in kind:
            return str((resource.get(f"productOrder{sort}") or [{}])[-1].get("message", ""))
    name = resource.get("specificProblem") or resource.get("description") or ""
    return f"{name} {resource.get('state', '')}".strip()
