"""What is done about a difference: the network corrected, the inventory corrected, a person asked.

Whatever is done, the difference is looked at once more before; one that has gone or changed
meanwhile is left alone. A port is reserved while it is worked on, so orders keep off it.
"""

import asyncio
import uuid
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from adapters import base
from adapters.base import Adapter
from adapters.errors import ElementError, PartiallyApplied
from adapters.values import Intent, Verdict
from tmf_apis.elements.connections import Connections
from tmf_apis.errors import Conflict, NotFound, TmfError
from tmf_apis.fulfilment.elements import key_of, ports_of, target_of
from tmf_apis.fulfilment.reservation import holdings
from tmf_apis.fulfilment.reservation.holdings import Claim
from tmf_apis.fulfilment.values import Refused
from tmf_apis.reconciliation.accepting import accept
from tmf_apis.reconciliation.audit import Audit
from tmf_apis.reconciliation.comparing import ACCEPT, CORRECT, PORT, UNKNOWN, Difference
from tmf_apis.rest.law import Desk, Resource

DONE, NO_LONGER, FAILED = "done", "noLongerThere", "failed"
#: How long a port is reserved at most while it is corrected; then orders may have it again.
HOLD = timedelta(minutes=10)
#: After this an element takes back by itself what was not confirmed, in seconds.
CONFIRM = 60.0
_KIND = "Resource"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a remedy.

    Attributes:
        what: "done", "noLongerThere" or "failed".
        message: Why, for people.
    """

    what: str
    message: str = ""


class Remedies:
    """Applies remedies to the differences of one audit."""

    def __init__(self, desk: Desk, connections: Connections, audit: str) -> None:
        """Take what it works with.

        Args:
            desk: Sees the whole tenant.
            connections: The way to the elements.
            audit: Id of the audit, by which what is reserved for it is known.
        """
        self._desk = desk
        self._connections = connections
        self._audit = audit
        self._looking = Audit(desk, connections)

    async def apply(self, element: Resource, found: Difference, remedy: str) -> Outcome:
        """Do something about a difference; safe to repeat."""
        try:
            now = await self._looking.again(element, found.key)
            if now is None:
                return Outcome(NO_LONGER, "inventory and element agree by now")
            if not now.same(found):
                return Outcome(NO_LONGER, f"it has changed meanwhile: {now.message}")
            return await self._remedy(element, now, remedy)
        except ElementError as error:
            return Outcome(FAILED, str(error))
        except TmfError as error:
            return Outcome(FAILED, error.message)
        except Refused as error:
            return Outcome(FAILED, str(error))

    async def _remedy(self, element: Resource, found: Difference, remedy: str) -> Outcome:
        if remedy not in found.remedies:
            return Outcome(FAILED, f"{found.type} has no remedy {remedy}")
        if remedy == CORRECT:
            return await self._correct(element, found)
        deed = accept if remedy == ACCEPT else self._ask
        return Outcome(DONE, await asyncio.to_thread(deed, self._desk, element, found))

    async def _correct(self, element: Resource, found: Difference) -> Outcome:
        holder = f"{self._audit}/{found.service}#audit"
        held = await asyncio.to_thread(self._reserve, element, found, holder)
        try:
            async with self._connections.to(target_of(element), change=True) as adapter:
                return await _corrected(adapter, found)
        finally:
            await asyncio.to_thread(self._release, held, holder)

    def _reserve(self, element: Resource, found: Difference, holder: str) -> list[str]:
        """Reserve the ports that are worked on, and return their ids.

        Raises:
            Refused: An order works on one of them.
        """
        ports = ports_of(self._desk, element["id"])
        there = ports.get(str(found.observed.get("port", found.port)))
        involved = {one["id"]: one for one in (found.resource, there) if one}
        reserved: list[str] = []
        try:
            for id, one in sorted(involved.items()):
                service = holdings.use_of(one).usage.service
                claim = Claim.made(holder, datetime.now(UTC), HOLD, service)
                self._desk.change(_KIND, id, _reserving(claim))
                reserved.append(id)
        except BaseException:
            self._release(reserved, holder)
            raise
        return reserved

    def _release(self, ids: list[str], holder: str) -> None:
        for id in ids:
            with suppress(NotFound):
                self._desk.change(_KIND, id, lambda old: holdings.freed(old, holder))

    def _ask(self, desk: Desk, element: Resource, found: Difference) -> str:
        name = f"{desk.tenant}:{self._audit}:{element['id']}:{found.key}"
        id = str(uuid.uuid5(uuid.NAMESPACE_OID, name))
        where = f"port {found.port}" + (f", service {found.service}" if found.service else "")
        task = {
            "@type": "FalloutTask",
            "id": id,
            "task": f"{found.type}: {where}",
            "element": str(element.get("name") or element["id"]),
            "reason": f"{where}: {found.message}",
            "attempts": 0,
        }
        with suppress(Conflict):  # asked already
            desk.create("FalloutTask", task)
        return f"fallout task {id}"


def _reserving(claim: Claim) -> Callable[[Resource], Resource]:
    return lambda old: holdings.reserved(old, claim)


def _intent(found: Difference) -> Intent:
    settings: Mapping[str, Any] = {k: v for k, v in found.expected.items() if k != "port"}
    port = key_of(found.resource) if found.resource else found.port
    return Intent(found.service, port, dict(settings))


async def _corrected(adapter: Adapter, found: Difference) -> Outcome:
    if found.type == UNKNOWN:
        await adapter.remove(found.service)
        if await adapter.read(found.service) is not None:
            return Outcome(FAILED, "the element says it has removed it and has not")
        return Outcome(DONE)
    removed = await adapter.remove(found.service) if found.type == PORT else None
    try:
        verdict = await _brought(adapter, _intent(found))
    except ElementError:
        if removed:
            await adapter.rollback(removed)
        raise
    if verdict.good:
        return Outcome(DONE)
    if removed:
        await adapter.rollback(removed)
    return Outcome(FAILED, f"{verdict.element}: {verdict.difference}")


async def _brought(adapter: Adapter, intent: Intent) -> Verdict:
    """Bring an element to an intent, or leave it as it was, and return how it is."""
    confirmed = base.CONFIRMED in adapter.capabilities
    plan = await adapter.plan(intent)
    try:
        done = await adapter.apply(plan, **({"confirm_within": CONFIRM} if confirmed else {}))
    except PartiallyApplied as error:
        await adapter.rollback(error.transaction)
        raise
    verdict = await adapter.verify(intent)
    if verdict.good:
        await adapter.confirm(done)
    else:
        await adapter.rollback(done)
    return verdict
