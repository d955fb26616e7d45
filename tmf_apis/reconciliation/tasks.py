"""The tasks of network operations as the worker does them; each is safe to repeat."""

import asyncio
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Any

from adapters.credentials import Credentials
from tmf_apis.errors import NotFound
from tmf_apis.network.targets import places
from tmf_apis.reconciliation.discovery import (
    TOLD,
    Candidate,
    Discovery,
    Found,
    Outcome,
    known_places,
)
from tmf_apis.rest.law import Desk, Resource, rfc3339

#: Pause between two words about how far a task is, in seconds.
PAUSE = 1.0
FINAL = frozenset({"done", "terminatedWithError"})

Begin = Callable[[Desk, Resource], None]


class Gone(Exception):
    """The task was deleted: whoever asked for it does not want it any more."""


class Progress:
    """Writes into a task how far it is, once a second at most."""

    def __init__(self, desk: Desk, task: Resource) -> None:
        self._desk = desk
        self._kind, self._id = str(task["@type"]), task["id"]
        self._last = time.monotonic()

    def tell(self, facts: Callable[[], Mapping[str, Any]]) -> None:
        """Write facts, if the last ones are old enough.

        Raises:
            Gone: The task was deleted.
        """
        if time.monotonic() - self._last >= PAUSE:
            self.write({"state": "inProgress", **facts()})

    def write(self, facts: Mapping[str, Any]) -> None:
        """Write facts.

        Raises:
            Gone: The task was deleted.
        """
        self._last = time.monotonic()
        try:
            self._desk.change(self._kind, self._id, lambda old: {**old, **facts})
        except NotFound:
            raise Gone from None

    def end(self, facts: Mapping[str, Any], *, good: bool = True) -> None:
        """Write facts and that the task has ended."""
        state = "done" if good else "terminatedWithError"
        now = {"completionDate": rfc3339(datetime.now(UTC))}
        self.write({**facts, **now, "state": state})


def begins(credentials: Credentials) -> dict[str, Begin]:
    """Return what does each kind of task."""
    return {"NetworkDiscovery": partial(discover, credentials)}


def discover(credentials: Credentials, desk: Desk, task: Resource) -> None:
    """Do a discovery."""
    if task.get("state") in FINAL:
        return
    progress = Progress(desk, task)
    try:
        progress.write({"state": "inProgress", "percentComplete": 0})
        found = asyncio.run(
            Discovery(desk, credentials).run(
                _candidates(desk, task), lambda far: progress.tell(lambda: told(far))
            )
        )
        progress.end(told(found))
    except Gone:
        return
    except ValueError as error:
        progress.end({"message": str(error)}, good=False)


def _candidates(desk: Desk, task: Resource) -> list[Candidate]:
    if not task.get("target"):
        return known_places(desk)
    options = {str(name): str(value) for name, value in (task.get("adapterOptions") or {}).items()}
    site = task.get("place")
    return [
        Candidate(
            one,
            str(task.get("adapter") or "snmp"),
            tuple(task.get("credentials") or ()),
            options,
            {"@type": "PlaceRef", **site} if site else None,
        )
        for one in places(task["target"])
    ]


def told(found: Found) -> dict[str, Any]:
    """Return what a discovery has found as it stands in its task."""
    good = ("created", "updated", "unchanged")
    return {
        "percentComplete": 100 * found.done // max(1, found.total),
        "found": sum(found.count(one) for one in good) + found.count("inDoubt"),
        **{one: found.count(one) for one in (*good, "silent")},
        "unreachable": [one.address for one in found.outcomes if one.outcome == "unreachable"],
        "element": [_element(one) for one in found.outcomes[:TOLD]],
    }


def _element(one: Outcome) -> dict[str, Any]:
    shown: dict[str, Any] = {"address": one.address, "outcome": one.outcome, "ports": one.ports}
    if one.element:
        name = str(one.element.get("name", ""))
        shown |= {
            "name": name,
            "resource": {
                "@type": "EntityRef",
                "id": one.element["id"],
                "name": name,
                "@referredType": "Resource",
            },
        }
    return {**shown, **({"message": one.message} if one.message else {}), "@type": _TYPE}


_TYPE = "DiscoveredElement"
