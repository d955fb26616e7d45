"""The adapter for NETCONF elements: each plan is applied, and reverted, in one commit."""

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import ClassVar, Self

from lxml.etree import _Element as Element

from adapters import base, condition_types, effect, planning
from adapters.credentials import Secret
from adapters.errors import Misconfigured, NotVerified, PartiallyApplied, Rejected
from adapters.locks import endpoint_lock
from adapters.mixins import NoUsageRecords, TaggedServices, ThroughputMeasurement
from adapters.netconf import candidate
from adapters.netconf.facts import read_facts, read_start_time
from adapters.netconf.faults import FaultMonitor, NotificationParser
from adapters.netconf.identity import load_identity
from adapters.netconf.interfaces import COUNTERS, port_of_interface, read_interfaces
from adapters.netconf.pool import SessionLease
from adapters.netconf.profile import DEFAULT_PROFILE, load_profile
from adapters.netconf.services import ServiceList, State
from adapters.netconf.session import (
    CONFIRMED,
    NOTIFICATION,
    PERSIST,
    Session,
    open_session,
)
from adapters.observations import RawFault, Sample
from adapters.options import check_options
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


class NetconfElement(TaggedServices, NoUsageRecords, ThroughputMeasurement):
    """One element over NETCONF.

    Options of the target, besides those of ``adapters.effect``:

    - ``profile``: name of a profile, shipped or of the folder ``TMF_PROFILES_DIR``
    - ``hostKey``: see ``identity.load_identity``
    - ``timeout``: longest wait for one reply, in seconds
    - ``patience``: longest wait for a lock that another session holds, in seconds
    - ``idle``: time for which an unused session stays open, in seconds
    - ``poll``: pause between two polls for faults, in seconds
    - ``validate``: "true" validates the candidate before each commit; see ``candidate.edit``
    """

    capabilities: ClassVar = frozenset(
        {base.ATOMIC, base.CONFIRMED, base.ADMIN, base.COUNTERS, base.FAULTS, base.CONDITIONS,
         base.EFFECT}
    )  # fmt: skip

    def __init__(self, target: Target, secret: Secret) -> None:
        self.target = target
        options = target.options
        check_options(target, OPTIONS, effect.OPTIONS)
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

    @classmethod
    def setting_names(cls, options: Mapping[str, str]) -> frozenset[str]:
        """Return the settings of the profile that the options name."""
        return planning.setting_names(load_profile(options.get("profile", DEFAULT_PROFILE)))

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
        if not session.datastore:
            session.close()
            text = "its NETCONF server has neither a candidate datastore nor a writable running one"
            raise Misconfigured(self.target.name, text)
        return session

    async def _session(self) -> Session:
        if self._lease is None:
            raise Misconfigured(self.target.name, "the adapter is not open")
        return await self._lease.session()

    async def _port_state(self, session: Session, name: str) -> State:
        """Return the attributes of a port; those of an empty port if it carries no service."""
        services = await self._services.read(session)
        return services.get(name) or self._services.default_state(name)

    async def probe(self) -> Facts:
        """Return the facts of the element, from the leaves that the profile names."""
        async with self._lock():
            return await read_facts(await self._session(), self._profile)

    async def inventory(self) -> Inventory:
        """Return facts and ports (ietf-interfaces)."""
        async with self._lock():
            session = await self._session()
            services = await self._services.read(session)
            interfaces = await read_interfaces(session, self._profile)
            facts = await read_facts(session, self._profile)
        ports = tuple(
            port_of_interface(
                interface,
                services.get(interface.name) or self._services.default_state(interface.name),
                self._profile,
            )
            for interface in interfaces
        )
        return Inventory(facts, ports, datetime.now(UTC))

    async def services(self) -> list[Observed]:
        """Return every service of the list in the running configuration."""
        async with self._lock():
            session = await self._session()
            services = await self._services.read(session)
            interfaces = await read_interfaces(session, self._profile)
        up = {interface.name for interface in interfaces if interface.state == "up"}
        return [
            Observed(
                str(state["tag"]),
                name,
                {key: value for key, value in state.items() if key != "tag"},
                name in up,
            )
            for name, state in sorted(services.items())
        ]

    async def plan(self, intent: Intent) -> Plan:
        """Return the steps to the desired state; see ``Adapter.plan``."""
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
            Rejected: The port does not exist.
        """
        ports = [port.name for port in await read_interfaces(session, self._profile)]
        if name not in ports:
            message = f"no port {name!r}; it has {', '.join(ports) or 'none'}"
            raise Rejected(self.target.name, message, path=name, reason="noSuchPort")
        return self._services.default_state(name)

    async def apply(self, plan: Plan, *, confirm_within: float | None = None) -> Transaction:
        """Do all steps of the plan in one commit; see ``Adapter.apply``.

        A server without confirmed commits commits at once: the transaction has no token, and
        ``rollback`` reverts it in a new commit.

        Raises:
            NotVerified: The element replied "ok" without doing it; a confirmed commit is
                cancelled.
        """
        async with self._lock():
            session = await self._session()
            if not _can_confirm(session):
                confirm_within = None
            current = await self._port_state(session, plan.intent.port)
            planning.check_precondition(plan, current)
            if not planning.pending_steps(plan.steps, current):
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
            steps = planning.pending_steps(plan.steps, current)
            try:
                await self._edit(session, plan.intent.port, current, steps)
            except Rejected as error:
                await self._check_not_done(session, plan, current, error)
                raise
            token = await candidate.commit(session, confirm_within, _persist_id(plan))
        try:
            await self._verify_steps(session, plan.intent.port, plan.steps)
        except NotVerified:
            if token:
                await candidate.cancel(session, token)
            raise
        return token

    async def _check_not_done(
        self, session: Session, plan: Plan, before: State, failure: Rejected
    ) -> None:
        """Check that a refused edit of the running configuration has changed nothing.

        Raises:
            PartiallyApplied: It has: only a candidate datastore makes an edit atomic.
        """
        if session.datastore == candidate.CANDIDATE_STORE:
            return
        if await self._port_state(session, plan.intent.port) != before:
            raise PartiallyApplied(plan.attempted, failure) from failure

    async def _edit(
        self, session: Session, name: str, current: State, steps: Sequence[Step]
    ) -> None:
        if steps:
            config = self._services.config_edit(name, current, steps)
            await candidate.edit(session, config, validate=self._validate)

    async def _verify_steps(self, session: Session, name: str, steps: Sequence[Step]) -> None:
        """Read the port and check that the steps are done: a reply of <ok/> is no proof."""
        observed = await self._port_state(session, name)
        planning.verify_steps(self.target.name, steps, observed)

    async def verify(self, intent: Intent) -> Verdict:
        """Compare the running configuration with the intent."""
        async with self._lock():
            current = await self._port_state(await self._session(), intent.port)
        expected = planning.desired_state(intent, self._profile, current)
        return planning.compare(self.target.name, expected, current)

    async def confirm(self, transaction: Transaction) -> None:
        """Confirm the commit of a transaction, from any session; safe to repeat.

        Raises:
            NotVerified: The element has reverted the commit in the meantime.
        """
        if not transaction.token:
            return
        async with self._lock():
            session = await self._session()
            await candidate.confirm(session, transaction.token)
            await self._verify_steps(session, transaction.intent.port, transaction.done)

    async def rollback(self, transaction: Transaction) -> None:
        """Cancel the commit if it waits to be confirmed; otherwise revert it in one commit."""
        name, steps = transaction.intent.port, transaction.inverse
        if not steps:
            return
        async with self._lock():
            session = await self._session()
            await self._cancel_commit(session, transaction)
            current = await self._port_state(session, name)
            planning.check_unchanged(transaction, current)
            if planning.pending_steps(steps, current):
                async with candidate.lock(session, self._lock_timeout):
                    current = await self._port_state(session, name)
                    planning.check_unchanged(transaction, current)
                    await self._edit(session, name, current, planning.pending_steps(steps, current))
                    await candidate.commit(session, None, "")
            await self._verify_steps(session, name, steps)

    @staticmethod
    async def _cancel_commit(session: Session, transaction: Transaction) -> None:
        """Cancel the commit of a transaction.

        If the transaction has no token, because the process ended before it was stored, the
        persist-id is computed from the steps.
        """
        if token := transaction.token or (
            _persist_id(transaction)
            if _can_confirm(session) and session.has_capability(PERSIST)
            else ""
        ):
            await candidate.cancel(session, token)

    async def counters(self, ports: Sequence[str] = ()) -> list[Sample]:
        """Return the counters of ietf-interfaces."""
        async with self._lock():
            session = await self._session()
            interfaces = await read_interfaces(session, self._profile)
            start_time = await read_start_time(session, self._profile)
        now = datetime.now(UTC)
        return [
            Sample(
                interface.name,
                name,
                value,
                COUNTERS[name].unit,
                now,
                interface.discontinuity_time or start_time,
            )
            for interface in interfaces
            if not ports or interface.name in ports
            for name, value in interface.counters.items()
        ]

    async def active_conditions(self) -> list[RawFault]:
        """Return a link-down condition for each port that should be up and is down."""
        ports = (await self.inventory()).ports
        now = datetime.now(UTC)
        return [
            RawFault(self.target.name, condition_types.LINK_DOWN, port.name, active=True,
                     seen_at=now, attributes={"tag": port.tag})
            for port in ports
            if port.has_lost_link
        ]  # fmt: skip

    async def faults(self) -> AsyncIterator[RawFault]:
        """Yield conditions as they begin and end, from notifications and from polling."""
        session = await self._open()  # a session of its own, because it stays busy
        parser = NotificationParser(self.target.name, self._profile, self._identity.user)
        try:
            notifications: asyncio.Queue[Element | None] = asyncio.Queue()
            if session.has_capability(NOTIFICATION):
                notifications = await session.subscribe()
            monitor = FaultMonitor(parser, self.active_conditions, self._is_disabled)
            async for fault in monitor.changes(notifications, self._poll_interval):
                yield fault
        finally:
            session.close()

    async def _is_disabled(self, name: str) -> bool:
        async with self._lock():
            state = await self._port_state(await self._session(), name)
        return state.get("enabled") is False


def _can_confirm(session: Session) -> bool:
    """Return whether the server can revert a commit that is not confirmed."""
    is_candidate = session.datastore == candidate.CANDIDATE_STORE
    return is_candidate and session.has_capability(CONFIRMED)


def _persist_id(change: Plan | Transaction) -> str:
    """Return the persist-id of a plan's commit, which is the same for equal plans."""
    steps = change.steps if isinstance(change, Plan) else change.done
    words = [change.element, change.intent.service_id, change.intent.port]
    words += [f"{step.attribute}={step.before!r}>{step.after!r}" for step in steps]
    return "tmf-" + hashlib.sha256(json.dumps(words).encode()).hexdigest()[:24]
