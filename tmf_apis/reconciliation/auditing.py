"""Audits and remedies as tasks: what they find stands in the audit, what came of it, too."""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from adapters.credentials import Credentials
from tmf_apis.elements.connections import Connections
from tmf_apis.elements.leasing import Leasing
from tmf_apis.errors import NotFound
from tmf_apis.fulfilment.elements import gateways
from tmf_apis.reconciliation.audit import Audit, Result, chosen
from tmf_apis.reconciliation.comparing import CORRECT, TASK, UNKNOWN, Difference
from tmf_apis.reconciliation.progress import FINAL, Gone, Progress
from tmf_apis.reconciliation.remedies import DONE, Outcome, Remedies
from tmf_apis.rest.law import Desk, Resource

AUDIT = "NetworkAudit"
#: Most differences that stand in an audit.
TOLD = 2000
#: A policy acts on its own only while no more than this share of the services differ, or so few.
SHARE, FEW = 0.1, 20
#: Differences that are worked on at once, each on its own element or port.
AT_ONCE = 8

Found = tuple[Resource, Difference]


class Auditing:
    """Does the tasks; each is safe to repeat."""

    def __init__(
        self, credentials: Credentials, leasing: Callable[[], Leasing] | None = None
    ) -> None:
        """Take the way to the elements.

        Args:
            credentials: The operator's secrets.
            leasing: Makes what keeps changers of one element apart, for one event loop.
        """
        self._credentials = credentials
        self._leasing = leasing

    def audit(self, desk: Desk, task: Resource) -> None:
        """Do an audit."""
        if task.get("state") in FINAL:
            return
        progress = Progress(desk, task)
        try:
            elements = chosen(desk, task.get("elementId") or ())
            progress.write({"state": "inProgress", "percentComplete": 0})
            asyncio.run(self._audit(desk, task, elements, progress))
        except Gone:
            return
        except ValueError as error:
            progress.end({"message": str(error)}, good=False)

    async def _audit(
        self, desk: Desk, task: Resource, elements: list[Resource], progress: Progress
    ) -> None:
        connections = Connections(self._credentials, self._leasing() if self._leasing else None)
        try:
            result = await Audit(desk, connections).run(
                elements, lambda far: progress.tell(lambda: told(far))
            )
            facts = {**told(result), "difference": listed(result.differences)}
            remedy = str(task.get("remedy") or "none")
            if remedy != "none" and result.differences:
                await asyncio.to_thread(progress.write, facts)
                facts |= await self._policy(desk, task["id"], result, remedy, connections)
            await asyncio.to_thread(progress.end, facts)
        finally:
            await connections.close()

    async def _policy(
        self, desk: Desk, audit: str, result: Result, remedy: str, connections: Connections
    ) -> dict[str, Any]:
        """Apply a remedy that was decided on before anything was known."""
        count = len(result.differences)
        if remedy != TASK and count > max(FEW, SHARE * result.checked):
            message = (
                f"{count} differences in {result.checked} services are too many to be set right "
                f"without a person; nothing was done"
            )
            return {"message": message}
        shown = listed(result.differences)
        pairs = [
            (number, pair, safe(pair[1], remedy))
            for number, pair in enumerate(result.differences[:TOLD])
        ]
        outcomes = await _each(Remedies(desk, connections, audit), pairs)
        for number, (remedied, outcome) in outcomes.items():
            shown[number] |= _outcome(remedied, outcome)
        return {"difference": shown}

    def resolve(self, desk: Desk, task: Resource) -> None:
        """Apply the remedy that a person has chosen."""
        if task.get("state") in FINAL:
            return
        progress = Progress(desk, task)
        try:
            try:
                audit = desk.get(AUDIT, str(task["audit"].get("id")))
                wanted = _wanted(audit, task.get("differenceId") or (), str(task["remedy"]))
            except (NotFound, ValueError) as error:
                message = getattr(error, "message", str(error))
                progress.end({"message": message, "resolved": 0, "failed": 0}, good=False)
                return
            progress.write({"state": "inProgress"})
            asyncio.run(self._resolve(desk, task, audit, wanted, progress))
        except Gone:
            return

    async def _resolve(
        self,
        desk: Desk,
        task: Resource,
        audit: Resource,
        wanted: Mapping[int, Resource],
        progress: Progress,
    ) -> None:
        remedy = str(task["remedy"])
        elements = {one["id"]: one for one in await asyncio.to_thread(gateways, desk)}
        pairs, outcomes = [], dict[int, tuple[str, Outcome]]()
        for number, one in wanted.items():
            if element := elements.get(str((one.get("element") or {}).get("id"))):
                pairs.append((number, (element, _difference(one)), remedy))
            else:
                gone = Outcome("failed", "the element is not in the inventory any more")
                outcomes[number] = remedy, gone
        connections = Connections(self._credentials, self._leasing() if self._leasing else None)
        try:
            outcomes |= await _each(Remedies(desk, connections, audit["id"]), pairs)
        finally:
            await connections.close()
        await asyncio.to_thread(_note, desk, audit["id"], wanted, outcomes)
        failed = [one for _, one in outcomes.values() if one.what != DONE]
        facts: dict[str, Any] = {"resolved": len(outcomes) - len(failed), "failed": len(failed)}
        if failed:
            facts["message"] = failed[0].message
        await asyncio.to_thread(progress.end, facts)


async def _each(
    remedies: Remedies, pairs: Iterable[tuple[int, Found, str]]
) -> dict[int, tuple[str, Outcome]]:
    turns = asyncio.Semaphore(AT_ONCE)
    outcomes: dict[int, tuple[str, Outcome]] = {}

    async def one(number: int, pair: Found, remedy: str) -> None:
        async with turns:
            outcomes[number] = remedy, await remedies.apply(*pair, remedy)

    async with asyncio.TaskGroup() as group:
        for number, pair, remedy in pairs:
            group.create_task(one(number, pair, remedy))
    return outcomes


def safe(found: Difference, remedy: str) -> str:
    """Return the remedy that a policy may apply by itself to a difference.

    What nobody knows of is never taken off an element without a person; neither is done what the
    difference has no remedy for.
    """
    if remedy not in found.remedies or (found.type == UNKNOWN and remedy == CORRECT):
        return TASK
    return remedy


def told(result: Result) -> dict[str, Any]:
    """Return what an audit has found as it stands in its task, the differences apart."""
    return {
        "percentComplete": 100 * result.done // max(1, result.total),
        "elements": result.elements,
        "checked": result.checked,
        "inFlight": result.in_flight,
        "unreachable": sorted(result.unreachable),
        "differences": len(result.differences),
        "count": [
            {"@type": "DifferenceCount", "type": type_, "count": count}
            for type_, count in result.counts.items()
        ],
    }


def listed(differences: Iterable[Found]) -> list[dict[str, Any]]:
    """Return differences as they stand in an audit; the first two thousand."""
    return [
        _shown(str(number), element, one)
        for number, (element, one) in enumerate(differences, 1)
        if number <= TOLD
    ]


def _shown(id: str, element: Resource, one: Difference) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "@type": "NetworkDifference",
        "id": id,
        "type": one.type,
        "element": _reference(element, "Resource"),
        "port": one.port,
        "expected": dict(one.expected),
        "observed": dict(one.observed),
        "remedy": list(one.remedies),
        "message": one.message,
    }
    if one.resource:
        shown["resource"] = _reference(one.resource, "Resource")
    if one.service:
        shown["service"] = _reference({"id": one.service}, "Service")
    return shown


def _difference(shown: Mapping[str, Any]) -> Difference:
    return Difference(
        str(shown["type"]),
        str((shown.get("service") or {}).get("id") or ""),
        str(shown.get("port") or ""),
        shown.get("expected") or {},
        shown.get("observed") or {},
        remedies=tuple(shown.get("remedy") or ()),
    )


def _reference(one: Mapping[str, Any], type_: str) -> dict[str, str]:
    found = {"@type": "EntityRef", "id": one["id"], "@referredType": type_}
    return {**found, "name": str(one["name"])} if one.get("name") else found


def _wanted(audit: Resource, ids: Iterable[str], remedy: str) -> dict[int, Resource]:
    """Return the differences that are meant, by their places in the audit.

    Raises:
        ValueError: The audit is not over, or has no such difference.
    """
    if audit.get("state") not in FINAL:
        raise ValueError(f"the audit is {audit.get('state')}")
    every = dict(enumerate(audit.get("difference") or ()))
    if not (wanted := set(ids)):
        return {
            place: one
            for place, one in every.items()
            if remedy in one["remedy"] and one.get("outcome") != DONE
        }
    if missing := sorted(wanted - {str(one["id"]) for one in every.values()}):
        raise ValueError(f"the audit has no difference {', '.join(missing[:10])}")
    return {place: one for place, one in every.items() if one["id"] in wanted}


def _note(
    desk: Desk,
    audit: str,
    wanted: Mapping[int, Resource],
    outcomes: Mapping[int, tuple[str, Outcome]],
) -> None:
    """Write into an audit what came of its differences."""
    by_id = {wanted[place]["id"]: one for place, one in outcomes.items()}

    def edit(old: Resource) -> Resource:
        return {
            **old,
            "difference": [
                {**one, **_outcome(*by_id[one["id"]])} if one["id"] in by_id else one
                for one in old.get("difference", ())
            ],
        }

    try:
        desk.change(AUDIT, audit, edit)
    except NotFound:  # deleted meanwhile: there is nothing left to tell
        return


def _outcome(remedy: str, outcome: Outcome) -> dict[str, str]:
    message = {"message": outcome.message} if outcome.message else {}
    return {"chosen": remedy, "outcome": outcome.what, **message}
