"""Audits and remedies as tasks: what they find stands in the audit, what came of it, too."""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from adapters.credentials import Credentials
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
from tmf_apis.reconciliation.remedies import OUTCOME_DONE, RemedyExecutor, RemedyOutcome
from tmf_apis.rest.pipeline.policy import Repository, Resource

AUDIT_KIND = "NetworkAudit"
#: Most differences that stand in an audit.
MAX_DIFFERENCES = 2000
#: A policy acts on its own only while no more than this share of the services differ, or so few.
AUTO_MAX_SHARE, AUTO_MAX_COUNT = 0.1, 20
#: Differences that are worked on at once, each on its own element or port.
CONCURRENCY = 8

ElementDifference = tuple[Resource, Difference]


class AuditTasks:
    """Does the tasks; each is safe to repeat."""

    def __init__(
        self, credentials: Credentials, make_leases: Callable[[], ElementLeases] | None = None
    ) -> None:
        """Take the way to the elements.

        Args:
            credentials: The operator's secrets.
            make_leases: Makes what keeps changers of one element apart, for one event loop.
        """
        self._credentials = credentials
        self._make_leases = make_leases

    def run_audit(self, repository: Repository, task: Resource) -> None:
        """Do an audit."""
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
            self._credentials, self._make_leases() if self._make_leases else None
        )
        try:
            result = await Auditor(repository, connections).run(
                elements, lambda far: progress.write_if_due(lambda: audit_attributes(far))
            )
            facts = {**audit_attributes(result), "difference": difference_items(result.differences)}
            remedy = str(task.get("remedy") or "none")
            if remedy != "none" and result.differences:
                await asyncio.to_thread(progress.write, facts)
                facts |= await self._apply_policy(
                    repository, task["id"], result, remedy, connections
                )
            await asyncio.to_thread(progress.finish, facts)
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
        """Apply a remedy that was decided on before anything was known."""
        count = len(result.differences)
        if remedy != OPEN_TASK and count > max(
            AUTO_MAX_COUNT, AUTO_MAX_SHARE * result.services_checked
        ):
            message = (
                f"{count} differences in {result.services_checked} services are too many to be set right "
                f"without a person; nothing was done"
            )
            return {"message": message}
        shown = difference_items(result.differences)
        pairs = [
            (number, pair, policy_remedy(pair[1], remedy))
            for number, pair in enumerate(result.differences[:MAX_DIFFERENCES])
        ]
        outcomes = await _apply_remedies(RemedyExecutor(repository, connections, audit_id), pairs)
        for number, (remedied, outcome) in outcomes.items():
            shown[number] |= _outcome_attributes(remedied, outcome)
        return {"difference": shown}

    def run_resolution(self, repository: Repository, task: Resource) -> None:
        """Apply the remedy that a person has chosen."""
        if task.get("state") in FINAL_STATES:
            return
        progress = TaskProgress(repository, task)
        try:
            try:
                audit = repository.get(AUDIT_KIND, str(task["audit"].get("id")))
                wanted = _selected_differences(
                    audit, task.get("differenceId") or (), str(task["remedy"])
                )
            except (NotFound, ValueError) as error:
                message = getattr(error, "message", str(error))
                progress.finish({"message": message, "resolved": 0, "failed": 0}, success=False)
                return
            progress.write({"state": "inProgress"})
            asyncio.run(self._resolve(repository, task, audit, wanted, progress))
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
        elements = {one["id"]: one for one in await asyncio.to_thread(managed_elements, repository)}
        pairs, outcomes = [], dict[int, tuple[str, RemedyOutcome]]()
        for number, one in selected_differences.items():
            if element := elements.get(str((one.get("element") or {}).get("id"))):
                pairs.append((number, (element, _parse_difference(one)), remedy))
            else:
                gone = RemedyOutcome("failed", "the element is not in the inventory any more")
                outcomes[number] = remedy, gone
        connections = Connections(
            self._credentials, self._make_leases() if self._make_leases else None
        )
        try:
            outcomes |= await _apply_remedies(
                RemedyExecutor(repository, connections, audit["id"]), pairs
            )
        finally:
            await connections.close()
        await asyncio.to_thread(
            _write_outcomes, repository, audit["id"], selected_differences, outcomes
        )
        failed = [one for _, one in outcomes.values() if one.status != OUTCOME_DONE]
        facts: dict[str, Any] = {"resolved": len(outcomes) - len(failed), "failed": len(failed)}
        if failed:
            facts["message"] = failed[0].message
        await asyncio.to_thread(progress.finish, facts)


async def _apply_remedies(
    remedies: RemedyExecutor, pairs: Iterable[tuple[int, ElementDifference, str]]
) -> dict[int, tuple[str, RemedyOutcome]]:
    turns = asyncio.Semaphore(CONCURRENCY)
    outcomes: dict[int, tuple[str, RemedyOutcome]] = {}

    async def one(number: int, pair: ElementDifference, remedy: str) -> None:
        async with turns:
            outcomes[number] = remedy, await remedies.apply(*pair, remedy)

    async with asyncio.TaskGroup() as group:
        for number, pair, remedy in pairs:
            group.create_task(one(number, pair, remedy))
    return outcomes


def policy_remedy(difference: Difference, remedy: str) -> str:
    """Return the remedy that a policy may apply by itself to a difference.

    What nobody knows of is never taken off an element without a person; neither is done what the
    difference has no remedy for.
    """
    if remedy not in difference.remedies or (
        difference.type == UNKNOWN_ON_ELEMENT and remedy == CORRECT_NETWORK
    ):
        return OPEN_TASK
    return remedy


def audit_attributes(result: AuditResult) -> dict[str, Any]:
    """Return what an audit has found as it stands in its task, the differences apart."""
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
    """Return differences as they stand in an audit; the first two thousand."""
    return [
        _difference_item(str(number), element, one)
        for number, (element, one) in enumerate(differences, 1)
        if number <= MAX_DIFFERENCES
    ]


def _difference_item(id: str, element: Resource, difference: Difference) -> dict[str, Any]:
    shown: dict[str, Any] = {
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
        shown["resource"] = _reference(difference.resource, "Resource")
    if difference.service:
        shown["service"] = _reference({"id": difference.service}, "Service")
    return shown


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
    found = {"@type": "EntityRef", "id": entity["id"], "@referredType": type_}
    return {**found, "name": str(entity["name"])} if entity.get("name") else found


def _selected_differences(audit: Resource, ids: Iterable[str], remedy: str) -> dict[int, Resource]:
    """Return the differences that are meant, by their places in the audit.

    Raises:
        ValueError: The audit is not over, or has no such difference.
    """
    if audit.get("state") not in FINAL_STATES:
        raise ValueError(f"the audit is {audit.get('state')}")
    every = dict(enumerate(audit.get("difference") or ()))
    if not (wanted := set(ids)):
        return {
            place: one
            for place, one in every.items()
            if remedy in one["remedy"] and one.get("outcome") != OUTCOME_DONE
        }
    if missing := sorted(wanted - {str(one["id"]) for one in every.values()}):
        raise ValueError(f"the audit has no difference {', '.join(missing[:10])}")
    return {place: one for place, one in every.items() if one["id"] in wanted}


def _write_outcomes(
    repository: Repository,
    audit_id: str,
    selected_differences: Mapping[int, Resource],
    outcomes: Mapping[int, tuple[str, RemedyOutcome]],
) -> None:
    """Write into an audit what came of its differences."""
    by_id = {selected_differences[place]["id"]: one for place, one in outcomes.items()}

    def edit(old: Resource) -> Resource:
        return {
            **old,
            "difference": [
                {**one, **_outcome_attributes(*by_id[one["id"]])} if one["id"] in by_id else one
                for one in old.get("difference", ())
            ],
        }

    try:
        repository.change(AUDIT_KIND, audit_id, edit)
    except NotFound:  # deleted meanwhile: there is nothing left to tell
        return


def _outcome_attributes(remedy: str, outcome: RemedyOutcome) -> dict[str, str]:
    message = {"message": outcome.message} if outcome.message else {}
    return {"chosen": remedy, "outcome": outcome.status, **message}
