"""The tasks of network operations as the worker does them; each is safe to repeat."""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any

from adapters.credentials import Credentials
from tmf_apis.element_access.element_leases import ElementLeases
from tmf_apis.network_operations.discovery_scope import DiscoveryScope
from tmf_apis.reconciliation.audit_tasks import AuditTasks
from tmf_apis.reconciliation.discovery import (
    MAX_REPORTED_OUTCOMES,
    Candidate,
    Discovery,
    DiscoveryOutcome,
    DiscoveryResult,
    known_candidates,
)
from tmf_apis.reconciliation.progress import FINAL_STATES, TaskDeleted, TaskProgress
from tmf_apis.rest.pipeline.policy import Repository, Resource
from tmf_apis.settings import Settings
from tmf_apis.store.connection import MongoDatabase

TaskHandler = Callable[[Repository, Resource], None]


def task_handlers(
    credentials: Credentials, database: MongoDatabase, settings: Settings
) -> dict[str, TaskHandler]:
    """Return what does each kind of task."""
    auditing = AuditTasks(credentials, lambda: ElementLeases(database))
    return {
        "NetworkDiscovery": partial(
            run_discovery, credentials, DiscoveryScope.from_settings(settings)
        ),
        "NetworkAudit": auditing.run_audit,
        "ResolveDifference": auditing.run_resolution,
    }


def run_discovery(
    credentials: Credentials, scope: DiscoveryScope, repository: Repository, task: Resource
) -> None:
    """Do a discovery."""
    if task.get("state") in FINAL_STATES:
        return
    progress = TaskProgress(repository, task)
    try:
        progress.write({"state": "inProgress", "percentComplete": 0})
        found = asyncio.run(
            Discovery(repository, credentials).run(
                _task_candidates(repository, task, scope),
                lambda far: progress.write_if_due(lambda: discovery_attributes(far)),
            )
        )
        progress.finish(discovery_attributes(found))
    except TaskDeleted:
        return
    except ValueError as error:
        progress.finish({"message": str(error)}, success=False)


def _task_candidates(
    repository: Repository, task: Resource, scope: DiscoveryScope
) -> list[Candidate]:
    if not task.get("target"):
        return known_candidates(repository)
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
        for one in scope.permitted_targets(task["target"])
    ]


def discovery_attributes(result: DiscoveryResult) -> dict[str, Any]:
    """Return what a discovery has found as it stands in its task."""
    good = ("created", "updated", "unchanged")
    return {
        "percentComplete": 100 * result.targets_done // max(1, result.total),
        "found": sum(result.count(one) for one in good) + result.count("inDoubt"),
        **{one: result.count(one) for one in (*good, "silent")},
        "unreachable": [one.address for one in result.outcomes if one.status == "unreachable"],
        "element": [_discovered_element(one) for one in result.outcomes[:MAX_REPORTED_OUTCOMES]],
    }


def _discovered_element(outcome: DiscoveryOutcome) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "address": outcome.address,
        "outcome": outcome.status,
        "ports": outcome.ports,
    }
    if outcome.element:
        name = str(outcome.element.get("name", ""))
        shown |= {
            "name": name,
            "resource": {
                "@type": "EntityRef",
                "id": outcome.element["id"],
                "name": name,
                "@referredType": "Resource",
            },
        }
    return {
        **shown,
        **({"message": outcome.message} if outcome.message else {}),
        "@type": _DISCOVERED_ELEMENT_TYPE,
    }


_DISCOVERED_ELEMENT_TYPE = "DiscoveredElement"
