"""The tasks of network operations as the worker does them; each is safe to repeat."""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any

from adapters.credentials import Credentials
from tmf_apis.elements.leasing import Leasing
from tmf_apis.network.reach import Reach
from tmf_apis.reconciliation.auditing import Auditing
from tmf_apis.reconciliation.discovery import (
    TOLD,
    Candidate,
    Discovery,
    Found,
    Outcome,
    known_places,
)
from tmf_apis.reconciliation.progress import FINAL, Gone, Progress
from tmf_apis.rest.law import Desk, Resource
from tmf_apis.settings import Settings
from tmf_apis.store.connection import Documents

Begin = Callable[[Desk, Resource], None]


def begins(credentials: Credentials, database: Documents, settings: Settings) -> dict[str, Begin]:
    """Return what does each kind of task."""
    auditing = Auditing(credentials, lambda: Leasing(database))
    return {
        "NetworkDiscovery": partial(discover, credentials, Reach.of(settings)),
        "NetworkAudit": auditing.audit,
        "ResolveDifference": auditing.resolve,
    }


def discover(credentials: Credentials, reach: Reach, desk: Desk, task: Resource) -> None:
    """Do a discovery."""
    if task.get("state") in FINAL:
        return
    progress = Progress(desk, task)
    try:
        progress.write({"state": "inProgress", "percentComplete": 0})
        found = asyncio.run(
            Discovery(desk, credentials).run(
                _candidates(desk, task, reach), lambda far: progress.tell(lambda: told(far))
            )
        )
        progress.end(told(found))
    except Gone:
        return
    except ValueError as error:
        progress.end({"message": str(error)}, good=False)


def _candidates(desk: Desk, task: Resource, reach: Reach) -> list[Candidate]:
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
        for one in reach.places(task["target"])
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
