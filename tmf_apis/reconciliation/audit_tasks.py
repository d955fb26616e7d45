"""Tasks ``NetworkAudit`` and ``ResolveDifference``; their results are written into the audit."""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from adapters.credentials import Credentials
from tmf_apis.element_access.access_policy import UNRESTRICTED, AccessPolicy
from tmf_apis.element_access.connections import Connections
from tmf_apis.element_access.element_leases import ElementLeases
from tmf_apis.errors import NotFound
from tmf_apis.inventory.elements import managed_elements
from tmf_apis.reconciliation.auditor import Auditor, AuditResult, select_elements
from tmf_apis.reconciliation.comparison import (
    CORRECT_NETWORK,
    OPEN_TASK,
    UNKNOWN_ON_ELEMENT,
    Difference,
)
from tmf_apis.reconciliation.progress import FINAL_STATES, TaskDeleted, TaskProgress
from tmf_apis.reconciliation.remedies import (
    OUTCOME_DONE,
    RemedyExecutor,
    RemedyOutcome,
    close_outdated_tasks,
)
from tmf_apis.rest.pipeline.policy import Repository, Resource

AUDIT_KIND = "NetworkAudit"
#: Maximum number of differences that an audit lists.
MAX_DIFFERENCES = 2000
#: An automatic remedy is applied only if the differences do not exceed this share of the services,
#: or this number.
AUTO_MAX_SHARE, AUTO_MAX_COUNT = 0.1, 20
#: Number of differences that are resolved at the same time.
CONCURRENCY = 8

ElementDifference = tuple[Resource, Difference]


class AuditTasks:
    """Runs the tasks; each is safe to repeat."""

    def __init__(
        self,
        credentials: Credentials,
        make_leases: Callable[[], ElementLeases] | None = None,
        policy: AccessPolicy = UNRESTRICTED,
    ) -> None:
        """Create the runner of tasks.

        Args:
            credentials: The operator's secrets.
            make_leases: Creates the leases on elements for one event loop; None: no leases.
            policy: The rules for connections to elements.
        """
        self._policy = policy
        self._credentials = credentials
        self._make_leases = make_leases

    def run_audit(self, repository: Repository, task: Resource) -> None:
        """Run an audit and write its result into the task."""
        if task.get("state") in FINAL_STATES:
            return
        progress = TaskProgress(repository, task)
        try:
            elements = select_elements(repository, task.get("elementId") or ())
            progress.write({"state": "inProgress", "percentComplete": 0})
            asyncio.run(self._audit(repository, task, elements, progress))
        except TaskDeleted:
            return
        except ValueError as error:
            progress.finish({"message": str(error)}, success=False)

    async def _audit(
        self,
        repository: Repository,
        task: Resource,
        elements: list[Resource],
        progress: TaskProgress,
    ) -> None:
        connections = Connections(
            self._credentials,
            self._make_leases() if self._make_leases else None,
            policy=self._policy,
        )
        try:
            result = await Auditor(repository, connections).run(
                elements, lambda result: progress.write_if_due(lambda: audit_attributes(result))
            )
            await asyncio.to_thread(_close_outdated_tasks, repository, result)
            attributes = {
                **audit_attributes(result),
                "difference": difference_items(result.differences),
            }
            remedy = str(task.get("remedy") or "none")
            if remedy != "none" and result.differences:
                await asyncio.to_thread(progress.write, attributes)
                attributes |= await self._apply_policy(
                    repository, task["id"], result, remedy, connections
                )
            await asyncio.to_thread(progress.finish, attributes)
        finally:
            await connections.close()

    async def _apply_policy(
        self,
        repository: Repository,
        audit_id: str,
        result: AuditResult,
        remedy: str,
        connections: Connections,
    ) -> dict[str, Any]:
        """Apply the automatic remedy of an audit; return the attributes that it changes."""
        count = len(result.differences)
        if remedy != OPEN_TASK and count > max(
            AUTO_MAX_COUNT, AUTO_MAX_SHARE * result.services_checked
        ):
            message = (
                f"{count} differences in {result.services_checked} services are too many to "
                "resolve without a person; nothing was changed"
            )
            return {"message": message}
        items = difference_items(result.differences)
        applications = [
            (position, element_difference, policy_remedy(element_difference[1], remedy))
            for position, element_difference in enumerate(result.differences[:MAX_DIFFERENCES])
        ]
        outcomes = await _apply_remedies(
            RemedyExecutor(repository, connections, audit_id), applications
        )
        for position, (applied_remedy, outcome) in outcomes.items():
            items[position] |= _outcome_attributes(applied_remedy, outcome)
        return {"difference": items}

    def run_resolution(self, repository: Repository, task: Resource) -> None:
        """Apply a remedy to selected differences of an audit and write the outcomes into it."""
        if task.get("state") in FINAL_STATES:
            return
        progress = TaskProgress(repository, task)
        try:
            try:
                audit = repository.get(AUDIT_KIND, str(task["audit"].get("id")))
                selected_differences = _selected_differences(
                    audit, task.get("differenceId") or (), str(task["remedy"])
                )
            except (NotFound, ValueError) as error:
                message = getattr(error, "message", str(error))
                progress.finish({"message": message, "resolved": 0, "failed": 0}, success=False)
                return
            progress.write({"state": "inProgress"})
            asyncio.run(self._resolve(repository, task, audit, selected_differences, progress))
        except TaskDeleted:
            return

    async def _resolve(
        self,
        repository: Repository,
        task: Resource,
        audit: Resource,
        selected_differences: Mapping[int, Resource],
        progress: TaskProgress,
    ) -> None:
        remedy = str(task["remedy"])
        elements = await asyncio.to_thread(managed_elements, repository)
        elements_by_id = {element["id"]: element for element in elements}
        applications, outcomes = [], dict[int, tuple[str, RemedyOutcome]]()
        for position, item in selected_differences.items():
            if element := elements_by_id.get(str((item.get("element") or {}).get("id"))):
                applications.append((position, (element, _parse_difference(item)), remedy))
            else:
                outcome = RemedyOutcome("failed", "the element is no longer in the inventory")
                outcomes[position] = remedy, outcome
        connections = Connections(
            self._credentials,
            self._make_leases() if self._make_leases else None,
            policy=self._policy,
        )
        try:
            outcomes |= await _apply_remedies(
                RemedyExecutor(repository, connections, audit["id"]), applications
            )
        finally:
            await connections.close()
        await asyncio.to_thread(
            _write_outcomes, repository, audit["id"], selected_differences, outcomes
        )
        failed = [outcome for _, outcome in outcomes.values() if outcome.status != OUTCOME_DONE]
        attributes: dict[str, Any] = {
            "resolved": len(outcomes) - len(failed),
            "failed": len(failed),
        }
        if failed:
            attributes["message"] = failed[0].message
        await asyncio.to_thread(progress.finish, attributes)


def _close_outdated_tasks(repository: Repository, result: AuditResult) -> None:
    by_element: dict[str, list[Difference]] = {}
    for element, difference in result.differences:
        by_element.setdefault(element["id"], []).append(difference)
    for element in result.compared:
        close_outdated_tasks(repository, element, by_element.get(element["id"], ()))


async def _apply_remedies(
    executor: RemedyExecutor, applications: Iterable[tuple[int, ElementDifference, str]]
) -> dict[int, tuple[str, RemedyOutcome]]:
    """Apply remedies concurrently; return each remedy and its outcome by position in the audit.

    Args:
        executor: Applies the remedies.
        applications: Position in the audit, element and difference, and the remedy.
    """
    slots = asyncio.Semaphore(CONCURRENCY)
    outcomes: dict[int, tuple[str, RemedyOutcome]] = {}

    async def apply(position: int, element_difference: ElementDifference, remedy: str) -> None:
        async with slots:
            outcomes[position] = remedy, await executor.apply(*element_difference, remedy)

    async with asyncio.TaskGroup() as group:
        for application in applications:
            group.create_task(apply(*application))
    return outcomes


def policy_remedy(difference: Difference, remedy: str) -> str:
    """Return the remedy that is applied automatically to a difference.

    A task for a person is opened instead if the difference does not offer the remedy, or if the
    remedy would remove an unknown service from an element.
    """
    if remedy not in difference.remedies or (
        difference.type == UNKNOWN_ON_ELEMENT and remedy == CORRECT_NETWORK
    ):
        return OPEN_TASK
    return remedy


def audit_attributes(result: AuditResult) -> dict[str, Any]:
    """Return the result of an audit as attributes of its task, without the differences."""
    return {
        "percentComplete": 100 * result.elements_done // max(1, result.total),
        "elements": result.elements,
        "checked": result.services_checked,
        "inFlight": result.ports_in_flight,
        "unreachable": sorted(result.unreachable),
        "differences": len(result.differences),
        "count": [
            {"@type": "DifferenceCount", "type": type_, "count": count}
            for type_, count in result.counts.items()
        ],
    }


def difference_items(differences: Iterable[ElementDifference]) -> list[dict[str, Any]]:
    """Return differences as items of an audit, at most ``MAX_DIFFERENCES``."""
    return [
        _difference_item(str(number), element, difference)
        for number, (element, difference) in enumerate(differences, 1)
        if number <= MAX_DIFFERENCES
    ]


def _difference_item(id: str, element: Resource, difference: Difference) -> dict[str, Any]:
    item: dict[str, Any] = {
        "@type": "NetworkDifference",
        "id": id,
        "type": difference.type,
        "element": _reference(element, "Resource"),
        "port": difference.port,
        "expected": dict(difference.expected),
        "observed": dict(difference.observed),
        "remedy": list(difference.remedies),
        "message": difference.message,
    }
    if difference.resource:
        item["resource"] = _reference(difference.resource, "Resource")
    if difference.service:
        item["service"] = _reference({"id": difference.service}, "Service")
    return item


def _parse_difference(item: Mapping[str, Any]) -> Difference:
    return Difference(
        str(item["type"]),
        str((item.get("service") or {}).get("id") or ""),
        str(item.get("port") or ""),
        item.get("expected") or {},
        item.get("observed") or {},
        remedies=tuple(item.get("remedy") or ()),
    )


def _reference(entity: Mapping[str, Any], type_: str) -> dict[str, str]:
    reference = {"@type": "EntityRef", "id": entity["id"], "@referredType": type_}
    return {**reference, "name": str(entity["name"])} if entity.get("name") else reference


def _selected_differences(audit: Resource, ids: Iterable[str], remedy: str) -> dict[int, Resource]:
    """Return the selected differences of an audit by position.

    Args:
        audit: The audit.
        ids: Ids of the differences; none: all that offer the remedy and are not resolved yet.
        remedy: The remedy.

    Raises:
        ValueError: The audit has not ended, or has no difference with one of the ids.
    """
    if audit.get("state") not in FINAL_STATES:
        raise ValueError(f"the audit is {audit.get('state')}")
    items = dict(enumerate(audit.get("difference") or ()))
    if not (selected_ids := set(ids)):
        return {
            position: item
            for position, item in items.items()
            if remedy in item["remedy"] and item.get("outcome") != OUTCOME_DONE
        }
    if missing := sorted(selected_ids - {str(item["id"]) for item in items.values()}):
        raise ValueError(f"the audit has no difference {', '.join(missing[:10])}")
    return {position: item for position, item in items.items() if item["id"] in selected_ids}


def _write_outcomes(
    repository: Repository,
    audit_id: str,
    selected_differences: Mapping[int, Resource],
    outcomes: Mapping[int, tuple[str, RemedyOutcome]],
) -> None:
    """Write the outcomes of remedies into an audit."""
    by_id = {
        selected_differences[position]["id"]: outcome for position, outcome in outcomes.items()
    }

    def edit(old: Resource) -> Resource:
        return {
            **old,
            "difference": [
                {**item, **_outcome_attributes(*by_id[item["id"]])} if item["id"] in by_id else item
                for item in old.get("difference", ())
            ],
        }

    try:
        repository.change(AUDIT_KIND, audit_id, edit)
    except NotFound:  # the audit was deleted in the meantime
        return


def _outcome_attributes(remedy: str, outcome: RemedyOutcome) -> dict[str, str]:
    message = {"message": outcome.message} if outcome.message else {}
    return {"chosen": remedy, "outcome": outcome.status, **message}
