"""NETCONF elements: what SNMP does step by step is one commit here, and is taken back as one."""

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from typing import ClassVar, Self

from lxml.etree import _Element as Element

from adapters import base, effect, planning
from adapters.credentials import Secret
from adapters.errors import Misconfigured, NotVerified, Rejected, Unsupported
from adapters.locks import endpoint_lock
from adapters.netconf import candidate
from adapters.netconf.facts import read_facts, read_start_time
from adapters.netconf.faults import FaultMonitor, NotificationParser
from adapters.netconf.identity import load_identity
from adapters.netconf.interfaces import COUNTERS, port_of_interface, read_interfaces
from adapters.netconf.pool import SessionLease
from adapters.netconf.profile import DEFAULT_PROFILE, load_profile
from adapters.netconf.services import ServiceList, State
from adapters.netconf.session import (
    CANDIDATE,
    CONFIRMED,
    NOTIFICATION,
    PERSIST,
    Session,
    open_session,
)
from adapters.observations import RawFault, Sample, UsageRecord
from adapters.snmp import mib
from adapters.values import (
    Facts,
    Intent,
    Inventory,
    Observed,
    Plan,
    Step,
    Target,
    Transaction,
    Verdict,
)

NETCONF_PORT = 830
OPTIONS = frozenset({"profile", "hostKey", "timeout", "patience", "idle", "poll", "validate"})


class NetconfElement:
    """One element over NETCONF.

    Options of the target: ``profile`` (a shipped one or the path of a JSON file), ``hostKey``
    (see ``identity``), ``timeout`` of one answer, ``patience`` for a lock that somebody else
    holds, ``idle``, how long a session that nobody uses stays open, and ``poll``, the pause
    between two looks for faults, all in seconds; ``validate`` ("true": before each commit, on
    servers that keep the edit then), and those of ``adapters.effect``.
    """

    capabilities: ClassVar = frozenset(
        {base.ATOMIC, base.CONFIRMED, base.ADMIN, base.COUNTERS, base.FAULTS, base.CONDITIONS,
         base.EFFECT}
    )  # fmt: skip

    def __init__(self, target: Target, secret: Secret) -> None:
        self.target = target
        options = target.options
        if unknown := sorted(set(options) - OPTIONS - effect.OPTIONS):
            raise Misconfigured(target.name, f"no such option: {', '.join(unknown)}")
        try:
            self._timeout = float(options.get("timeout", 10))
            self._lock_timeout = float(options.get("patience", 5))
            self._idle_timeout = float(options.get("idle", 60))
            self._poll_interval = float(options.get("poll", 30))
            self._validate = {"true": True, "false": False}[options.get("validate", "false")]
            self._profile = load_profile(options.get("profile", DEFAULT_PROFILE))
            self._endpoint = target.endpoint(NETCONF_PORT)
        except (ValueError, KeyError, OSError) as error:
            raise Misconfigured(target.name, f"options or address: {error!r}") from error
        self._identity = load_identity(secret, options.get("hostKey", ""), target.name)
        self._services = ServiceList(target.name, self._profile)
        self._lease: SessionLease | None = None

    async def __aenter__(self) -> Self:
        key = (self._endpoint, self._identity, self._timeout)
        self._lease = SessionLease(key, self._open, self._idle_timeout)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._lease is not None:
            self._lease.release()
            self._lease = None

    def _lock(self) -> asyncio.Lock:
        return endpoint_lock(self._endpoint)

    async def _open(self) -> Session:
        session = await open_session(
            self.target.name, self._endpoint, self._identity, self._timeout
        )
        if not session.has_capability(CANDIDATE):
            session.close()
            raise Misconfigured(self.target.name, "its NETCONF server has no candidate")
        return session

    async def _session(self) -> Session:
        if self._lease is None:
            raise Misconfigured(self.target.name, "the adapter is not open")
        return await self._lease.session()

    async def _port_state(self, session: Session, name: str) -> State:
        """Return the attributes of a port, whether there is such a port or not."""
        services = await self._services.read(session)
        return services.get(name) or self._services.default_state(name)

    async def probe(self) -> Facts:
        """Return what the element is, where the profile says that it stands."""
        async with self._lock():
            return await read_facts(await self._session(), self._profile)

    async def inventory(self) -> Inventory:
        """Return facts and ports (ietf-interfaces)."""
        async with self._lock():
            session = await self._session()
            services = await self._services.read(session)
            found = await read_interfaces(session, self._profile)
            about = await read_facts(session, self._profile)
        ports = tuple(
            port_of_interface(
                one, services.get(one.name) or self._services.default_state(one.name), self._profile
            )
            for one in found
        )
        return Inventory(about, ports, datetime.now(UTC))

    async def services(self) -> list[Observed]:
        """Return every service of the list in the running configuration."""
        async with self._lock():
            session = await self._session()
            services = await self._services.read(session)
            up = {one.name for one in await read_interfaces(session, self._profile) if one.up}
        return [
            Observed(
                str(state["tag"]),
                name,
                {key: value for key, value in state.items() if key != "tag"},
                name in up,
            )
            for name, state in sorted(services.items())
        ]

    async def read(self, service_id: str) -> Observed | None:
        """Return the service of the list that has this key."""
        found = [one for one in await self.services() if one.service_id == service_id]
        return found[0] if found else None

    async def plan(self, intent: Intent) -> Plan:
        """Return the steps to what is asked; see ``Adapter.plan``."""
        async with self._lock():
            session = await self._session()
            services = await self._services.read(session)
            if intent.port not in services:
                services[intent.port] = await self._state_without_service(session, intent.port)
        tags = {name: str(state["tag"]) for name, state in services.items()}
        current = services[intent.port]
        return planning.plan(self.target.name, intent, self._profile, current, tags)

    async def _state_without_service(self, session: Session, name: str) -> State:
        """Return the attributes of a port without a service.

        Raises:
            Rejected: There is no such port.
        """
        ports = [one.name for one in await read_interfaces(session, self._profile)]
        if name not in ports:
            message = f"no port {name!r}; it has {', '.join(ports) or 'none'}"
            raise Rejected(self.target.name, message, path=name, reason="noSuchPort")
        return self._services.default_state(name)

    async def apply(self, plan: Plan, *, confirm_within: float | None = None) -> Transaction:
        """Do all steps of the plan in one commit, or none; see ``Adapter.apply``.

        Raises:
            NotVerified: The element said "ok" and has not done it; nothing waits any more.
        """
        async with self._lock():
            session = await self._session()
            if confirm_within is not None and not session.has_capability(CONFIRMED):
                raise Unsupported(self.target.name, "its server has no confirmed commit")
            current = await self._port_state(session, plan.intent.port)
            planning.check_precondition(plan, current)
            if not _pending_steps(plan.steps, current):
                token = ""
                if confirm_within is not None and plan.steps:
                    token = await candidate.extend(session, confirm_within, _persist_id(plan))
                return Transaction(plan.element, plan.intent, plan.steps, token)
            token = await self._apply_commit(session, plan, confirm_within)
        return Transaction(plan.element, plan.intent, plan.steps, token)

    async def _apply_commit(
        self, session: Session, plan: Plan, confirm_within: float | None
    ) -> str:
        async with candidate.lock(session, self._lock_timeout):
            current = await self._port_state(session, plan.intent.port)
            planning.check_precondition(plan, current)
            steps = _pending_steps(plan.steps, current)
            await self._edit(session, plan.intent.port, current, steps)
            token = await candidate.commit(session, confirm_within, _persist_id(plan))
        try:
            await self._verify_steps(session, plan.intent.port, plan.steps)
        except NotVerified:
            if token:
                await candidate.cancel(session, token)
            raise
        return token

    async def _edit(
        self, session: Session, name: str, current: State, steps: Sequence[Step]
    ) -> None:
        if steps:
            config = self._services.config_edit(name, current, steps)
            await candidate.edit(session, config, validate=self._validate)

    async def _verify_steps(self, session: Session, name: str, steps: Sequence[Step]) -> None:
        """Read back whether steps are done; a reply of <ok/> is no proof."""
        observed = await self._port_state(session, name)
        expected = {step.attribute: step.after for step in steps}
        verdict = Verdict(self.target.name, expected, observed, datetime.now(UTC))
        if not verdict.good:
            raise NotVerified(verdict)

    async def verify(self, intent: Intent) -> Verdict:
        """Return whether the running configuration is as asked."""
        async with self._lock():
            current = await self._port_state(await self._session(), intent.port)
        expected = planning.desired_state(intent, self._profile, current)
        observed = {name: current[name] for name in expected if name in current}
        return Verdict(self.target.name, expected, observed, datetime.now(UTC))

    async def measure(self, intent: Intent) -> Verdict:
        """Return what the customer gets; see ``adapters.effect``."""
        return await effect.measure(self.target, intent)

    async def confirm(self, transaction: Transaction) -> None:
        """Make a commit last, from whatever session; one that lasts already may be confirmed.

        Raises:
            NotVerified: The element has taken it back in the meantime.
        """
        if not transaction.token:
            return
        async with self._lock():
            session = await self._session()
            await candidate.confirm(session, transaction.token)
            await self._verify_steps(session, transaction.intent.port, transaction.done)

    async def rollback(self, transaction: Transaction) -> None:
        """Cancel the commit if it waits, or else change everything back in one commit."""
        name, steps = transaction.intent.port, transaction.inverse
        if not steps:
            return
        async with self._lock():
            session = await self._session()
            await self._cancel_commit(session, transaction)
            current = await self._port_state(session, name)
            planning.check_unchanged(transaction, current)
            if _pending_steps(steps, current):
                async with candidate.lock(session, self._lock_timeout):
                    current = await self._port_state(session, name)
                    planning.check_unchanged(transaction, current)
                    await self._edit(session, name, current, _pending_steps(steps, current))
                    await candidate.commit(session, None, "")
            await self._verify_steps(session, name, steps)

    @staticmethod
    async def _cancel_commit(session: Session, transaction: Transaction) -> None:
        """Cancel the commit of a transaction, also one whose token was lost with its owner."""
        if token := transaction.token or (
            _persist_id(transaction) if session.has_capability(PERSIST) else ""
        ):
            await candidate.cancel(session, token)

    async def remove(self, service_id: str) -> Transaction:
        """Take the service out of the list."""
        found = await self.read(service_id)
        if found is None:
            return Transaction(self.target.name, Intent(service_id, "", present=False))
        return await self.apply(await self.plan(Intent(service_id, found.port, present=False)))

    async def counters(self, ports: Sequence[str] = ()) -> list[Sample]:
        """Return the counters of ietf-interfaces."""
        async with self._lock():
            session = await self._session()
            found = await read_interfaces(session, self._profile)
            began = await read_start_time(session, self._profile)
        now = datetime.now(UTC)
        return [
            Sample(one.name, name, value, COUNTERS[name][1], now, one.discontinuity_time or began)
            for one in found
            if not ports or one.name in ports
            for name, value in one.counters.items()
        ]

    async def usage(self, service_id: str, since: datetime) -> list[UsageRecord]:
        """Refuse: the element keeps no records; usage comes from its counters."""
        raise Unsupported(self.target.name, f"no usage records ({service_id}, {since:%F})")

    async def active_conditions(self) -> list[RawFault]:
        """Return a link-down condition for each port that is switched on and not working."""
        ports = (await self.inventory()).ports
        now = datetime.now(UTC)
        return [
            RawFault(self.target.name, mib.LINK_DOWN, one.name, active=True, seen_at=now,
                     attributes={"tag": one.tag})
            for one in ports
            if one.enabled and not one.up
        ]  # fmt: skip

    async def faults(self) -> AsyncIterator[RawFault]:
        """Yield what the element reports, and what looking finds that it does not report."""
        session = await self._open()  # its own: it lasts, and blocks nobody
        reporter = NotificationParser(self.target.name, self._profile, self._identity.user)
        try:
            reports: asyncio.Queue[Element | None] = asyncio.Queue()
            if session.has_capability(NOTIFICATION):
                reports = await session.subscribe()
            watch = FaultMonitor(reporter, self.active_conditions, self._is_disabled)
            async for one in watch.changes(reports, self._poll_interval):
                yield one
        finally:
            session.close()

    async def _is_disabled(self, name: str) -> bool:
        async with self._lock():
            state = await self._port_state(await self._session(), name)
        return state.get("enabled") is False


def _pending_steps(steps: Sequence[Step], current: State) -> tuple[Step, ...]:
    return tuple(step for step in steps if current.get(step.attribute) != step.after)


def _persist_id(change: Plan | Transaction) -> str:
    """Return the name of a plan's commit: the same for the same plan, so that it is found again."""
    steps = change.steps if isinstance(change, Plan) else change.done
    words = [change.element, change.intent.service_id, change.intent.port]
    words += [f"{one.attribute}={one.before!r}>{one.after!r}" for one in steps]
    return "tmf-" + hashlib.sha256(json.dumps(words).encode()).hexdigest()[:24]
