"""Handlers that the worker runs for tasks of network operations; each is safe to repeat."""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any

from adapters.credentials import Credentials
from tmf_apis.element_access.access_policy import AccessPolicy
from tmf_apis.element_access.element_leases import ElementLeases
from tmf_apis.inventory.discovery_records import DiscoveryRecords
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
    """Return the handlers by kind of task."""
    policy = AccessPolicy.from_settings(settings)
    auditing = AuditTasks(credentials, lambda: ElementLeases(database), policy)
    return {
        "NetworkDiscovery": partial(
            run_discovery,
            partial(
                Discovery,
                credentials=credentials,
                policy=policy,
                on_stored=DiscoveryRecords(database).add,
            ),
            DiscoveryScope.from_settings(settings),
        ),
        "NetworkAudit": auditing.run_audit,
        "ResolveDifference": auditing.run_resolution,
    }


def run_discovery(
    create_discovery: Callable[[Repository], Discovery],
    scope: DiscoveryScope,
    repository: Repository,
    task: Resource,
) -> None:
    """Run a discovery and write its result into the task."""
    if task.get("state") in FINAL_STATES:
        return
    progress = TaskProgress(repository, task)
    try:
        progress.write({"state": "inProgress", "percentComplete": 0})
        result = asyncio.run(
            create_discovery(repository).run(
                _task_candidates(repository, task, scope),
                lambda result: progress.write_if_due(lambda: discovery_attributes(result)),
            )
        )
        progress.finish(discovery_attributes(result))
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
            target,
            str(task.get("adapter") or "snmp"),
            tuple(task.get("credentials") or ()),
            options,
            {"@type": "PlaceRef", **site} if site else None,
        )
        for target in scope.permitted_targets(task["target"])
    ]


def discovery_attributes(result: DiscoveryResult) -> dict[str, Any]:
    """Return the result of a discovery as attributes of its task."""
    good = ("created", "updated", "unchanged")
    return {
        "percentComplete": 100 * result.targets_done // max(1, result.total),
        "found": sum(result.count(status) for status in good) + result.count("inDoubt"),
        **{status: result.count(status) for status in (*good, "silent")},
        "unreachable": [
            outcome.address for outcome in result.outcomes if outcome.status == "unreachable"
        ],
        "element": [
            _discovered_element(outcome) for outcome in result.outcomes[:MAX_REPORTED_OUTCOMES]
        ],
    }


def _discovered_element(outcome: DiscoveryOutcome) -> dict[str, Any]:
    item: dict[str, Any] = {
        "address": outcome.address,
        "outcome": outcome.status,
        "ports": outcome.ports,
    }
    if outcome.element:
        name = str(outcome.element.get("name", ""))
        item |= {
            "name": name,
            "resource": {
                "@type": "EntityRef",
                "id": outcome.element["id"],
                "name": name,
                "@referredType": "Resource",
            },
        }
    return {
        **item,
        **({"message": outcome.message} if outcome.message else {}),
        "@type": "DiscoveredElement",
    }
