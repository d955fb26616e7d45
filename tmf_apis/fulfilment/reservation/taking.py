"""One task takes what it needs, resource by resource; if one is missing, all are given back."""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from adapters.errors import Misconfigured
from adapters.values import Setting, Target
from tmf_apis.errors import Conflict, NotFound, Stale
from tmf_apis.fulfilment.characteristics import of_resource
from tmf_apis.fulfilment.elements import key_of, target_of
from tmf_apis.fulfilment.reservation import holdings, pools, searching, shares
from tmf_apis.fulfilment.reservation.holdings import Claim
from tmf_apis.fulfilment.reservation.ports import SERVICE, holder_of, is_on, service_of
from tmf_apis.fulfilment.reservation.refusals import visible
from tmf_apis.fulfilment.reservation.searching import KIND, written
from tmf_apis.fulfilment.reservation.shares import Draw
from tmf_apis.fulfilment.values import Need, OrderKey, Refused, Taken, Task, Usage
from tmf_apis.rest.law import Desk, Resource

#: How long a reservation holds unless it is renewed.
HOLD = timedelta(hours=1)


@dataclass(slots=True)
class _Got:
    """What a task has by now: resources by slot, and how they were."""

    whole: dict[str, Resource] = field(default_factory=dict)
    shared: dict[str, Resource] = field(default_factory=dict)
    before: dict[str, Usage] = field(default_factory=dict)
    carrier: str = ""
    element: Resource | None = None


class Taking:
    """Takes what one task needs."""

    def __init__(  # noqa: PLR0913
        self,
        desk: Desk,
        key: OrderKey,
        task: Task,
        owner: Desk,
        hold: timedelta,
        *,
        fresh: bool = False,
    ) -> None:
        """Take what it works with; see ``reserving.reserve``."""
        # A service that is called after the order is as new as that.
        self._fresh = fresh and task.service.startswith(f"{key.order}-")
        self._desk, self._key, self._task, self._owner = desk, key, task, owner
        self._holder = task.holder(key)
        self._claim = Claim.made(self._holder, desk.now, hold)
        self._there = Claim.made(self._holder, desk.now, hold, task.service)
        #: The need that was looked at last.
        self.at: Need | None = None

    def taken(self) -> Taken:
        """Take it.

        Raises:
            Refused: It is not to be had; nothing is kept then.
        """
        got = _Got()
        try:
            if self._task.action == "provide":
                got = self._new(got)
            else:
                self._running(got)
            return self._as_taken(got)
        except Refused:
            self._give_back(got, _Got())
            raise

    def _new(self, got: _Got) -> _Got:
        task = self._task
        ids = sorted({self._holder, task.service})
        found = (
            [] if self._fresh else self._desk.find(KIND, {"externalIdentifier.id": {"$in": ids}})
        )
        mine = [one for one in found if holder_of(one) == self._holder]
        there = [
            one
            for one in found
            if service_of(one) == task.service and holder_of(one) != self._holder
        ]
        if there and not task.replaces:
            raise Refused(
                f"service {task.service} is in operation already, on {holdings.called(there[0])}"
            )
        for need, one in _matched(task.needs, mine):
            self._keep(got, need, one)
        carrier = next((need for need in task.needs if need.carrier), None)
        if carrier is None or carrier.slot in got.whole:
            self._fill(got)
            return got
        return self._carried(carrier, got)

    def _carried(self, need: Need, got: _Got) -> _Got:
        """Take a carrier on whose element everything else is to be had, too."""
        self.at = need
        refusal, barren = None, set[str]()
        for candidate in self._candidates(need, ""):
            self.at = need
            if (on := is_on(candidate)) in barren:
                continue
            trial = _Got(dict(got.whole), dict(got.shared), dict(got.before))
            try:
                trial.element = self._element(need, candidate)
                self._keep(trial, need, self._take(candidate, need))
                self._fill(trial)
            except (Refused, Stale) as error:
                self._give_back(trial, got)
                refusal = _refusal(error)
                if need.named or not self._may_differ(need, on):
                    raise refusal from None
                if need.slot in trial.whole or trial.element is None:
                    barren.add(on)
                continue
            return trial
        raise refusal or Refused(self._none(need))

    def _may_differ(self, carrier: Need, element: str) -> bool:
        """Return whether another carrier may have what this one, or its element, has not."""
        at = self.at or carrier
        return at.carrier or (bool(element) and _along(at, self._task))

    def _fill(self, got: _Got) -> None:
        """Take what is missing beside the carrier.

        Raises:
            Refused: Some is not to be had.
        """
        for need in self._task.needs:
            self.at = need
            if need.slot in got.whole or need.slot in got.shared:
                continue
            element = str(got.element["id"]) if got.element and _along(need, self._task) else ""
            if need.on and not element:
                if not need.optional:
                    raise Refused(self._none(need))
            elif need.amount:
                self._draw(got, need, element)
            else:
                self._one(got, need, element)

    def _one(self, got: _Got, need: Need, element: str) -> None:
        refusal = None
        for candidate in self._candidates(need, element):
            try:
                self._keep(got, need, self._take(candidate, need))
            except (Refused, Stale) as error:
                if need.named:
                    raise
                refusal = _refusal(error)
                continue
            return
        if not need.optional:
            raise refusal or Refused(self._none(need))

    def _draw(self, got: _Got, need: Need, element: str) -> None:
        task, carrier = self._task, got.whole.get(got.carrier, {})
        draw = Draw(self._claim, task.service, str(carrier.get("id", "")), need.amount)
        found = searching.shared(self._desk, need, element)
        found.sort(key=lambda one: not shares.amount_of(one, draw.service, draw.carrier))
        refusal = None
        for one in found:
            before = shares.amount_of(one, draw.service, draw.carrier)
            try:
                new = self._desk.change(KIND, one["id"], lambda r: shares.taken(r, draw))
            except (Refused, NotFound, Stale) as error:
                refusal = _refusal(error)
                continue
            got.shared[need.slot] = new
            got.before[need.slot] = Usage(task.service if before else "", amount=before)
            return
        if refusal or not need.optional:
            raise refusal or Refused(self._none(need))

    def _candidates(self, need: Need, element: str) -> Iterator[Resource]:
        """Yield resources that a need may take; a value of a pool is made when it is wanted."""
        if need.named:
            yield self._named(need, element)
            return
        yield from searching.candidates(self._desk, need, element, self._holder)
        for pool, values in searching.pools(self._desk, need, element):
            for value in searching.untaken(self._desk, pool, values, self._holder):
                with suppress(Conflict):  # somebody else was faster
                    yield self._made(pool, need, value)

    def _named(self, need: Need, element: str) -> Resource:
        if found := searching.named(self._desk, need):
            searching.check(found, need)
            if element and need.on and is_on(found) not in {"", element}:
                raise Refused(f"{holdings.called(found)} is on another element")
            return found
        for pool, values in searching.pools(self._desk, need, element):
            if values.has(need.named):
                try:
                    return self._made(pool, need, need.named)
                except Conflict:
                    id = pools.id_of(self._desk.tenant, str(pool["id"]), need.named)
                    return self._desk.get(KIND, id)
        raise Refused(f"there is no {need.category} called {need.named}")

    def _made(self, pool: Resource, need: Need, value: str) -> Resource:
        made = pools.resource_of(self._desk.tenant, pool, need.category, value)
        return self._desk.create(KIND, holdings.reserved(made, self._claim))

    def _take(self, resource: Resource, need: Need) -> Resource:
        def edit(one: Resource) -> Resource:
            if is_on(one) != is_on(resource):
                raise Refused(f"{holdings.called(one)} is on another element by now")
            return holdings.reserved(one, self._claim)

        try:
            return self._desk.change(KIND, resource["id"], edit)
        except NotFound:
            raise Refused(
                f"{need.category} {resource.get('name')} is not in the inventory any more"
            ) from None

    def _keep(self, got: _Got, need: Need, resource: Resource) -> None:
        got.whole[need.slot] = resource
        got.before[need.slot] = holdings.use_of(resource).usage
        if need.carrier:
            got.carrier = need.slot
            got.element = got.element or self._element(need, resource)

    def _element(self, need: Need, resource: Resource) -> Resource | None:
        """Return the element that a carrier is on, or is brought to; None: it needs none.

        Raises:
            Refused: It cannot be worked on.
        """
        if is_on(resource) or holdings.use_of(resource).element:
            found = searching.element_of(self._desk, resource)
            if found is None or not searching.reachable(found):
                raise Refused(f"the element of {holdings.called(resource)} cannot be worked on")
            if need.on and found.get("category") != need.on:
                kind = found.get("category")
                raise Refused(f"{holdings.called(resource)} is on a {kind}, not on a {need.on}")
            return found
        if not need.on:
            return None
        usable = searching.elements(self._desk, need.on, need.places, self._task.service)
        if not usable:
            raise Refused(f"there is no {need.on} that can be worked on")
        return usable[0]

    def _give_back(self, trial: _Got, got: _Got) -> None:
        """Leave what was taken for nothing as it was."""
        for slot in trial.whole.keys() - got.whole.keys():
            self._edit(trial.whole[slot], lambda one: holdings.freed(one, self._holder))
        for slot in trial.shared.keys() - got.shared.keys():
            self._edit(trial.shared[slot], lambda one: shares.returned(one, self._holder))

    def _edit(self, resource: Resource, edit: Any) -> None:  # noqa: ANN401
        with suppress(NotFound):
            self._desk.change(KIND, resource["id"], edit)

    def _running(self, got: _Got) -> None:
        """Take the resources that a service has, which whoever placed the order may change."""
        task = self._task
        found = [
            one for one in written(self._desk, SERVICE, [task.service])
            if not self._moving(one)
        ]  # fmt: skip
        if not found or not self._may_change(found):
            raise Refused(f"no service {task.service} is in operation")
        carrier = searching.carrier_of(found)
        named = _slots(task.needs, found)
        for slot, one in named.items():
            new = self._desk.change(KIND, one["id"], lambda r: holdings.reserved(r, self._there))
            got.whole[slot] = new
            got.before[slot] = holdings.use_of(one).usage
            if one["id"] == carrier["id"]:
                got.carrier = slot
        got.element = searching.element_of(self._desk, carrier)
        if got.element is not None and not searching.reachable(got.element):
            raise Refused(f"the element of {holdings.called(carrier)} cannot be worked on")
        self._draws(got, carrier)
        if task.action == "change" and task.needs:
            self._fill(got)

    def _moving(self, resource: Resource) -> bool:
        """Return whether a service is only about to come to a resource, by another task."""
        return holder_of(resource) not in {"", self._holder} and not service_of(resource)

    def _draws(self, got: _Got, carrier: Resource) -> None:
        """Take up what the service draws of shared resources, to change or to end it."""
        task, wanted = self._task, [need for need in self._task.needs if need.amount]
        for number, id in enumerate(holdings.use_of(carrier).draws):
            try:
                one = self._desk.get(KIND, id)
            except NotFound:
                continue
            amount = shares.amount_of(one, task.service, carrier["id"])
            need = next((n for n in wanted if n.category == one.get("category")), None)
            next_ = amount
            if task.action == "cease":
                next_ = 0
            elif need:
                wanted.remove(need)
                next_ = need.amount
            slot = need.slot if need else f"draw.{number + 1}"
            self.at = need
            draw = Draw(self._claim, task.service, carrier["id"], next_)
            got.shared[slot] = self._desk.change(KIND, id, lambda r, d=draw: shares.taken(r, d))  # type: ignore[misc]
            got.before[slot] = Usage(task.service, amount=amount)

    def _may_change(self, found: list[Resource]) -> bool:
        made_by = {holdings.use_of(one).usage.ordered.partition("/")[0] for one in found} - {""}
        kinds = dict.fromkeys(("ProductOrder", self._key.kind))
        return all(visible(self._owner, order, *kinds) for order in made_by)

    def _none(self, need: Need) -> str:
        words = f"no {_CALLED.get(need.category, need.category)} is free"
        if need.amount:
            words = f"there is no {need.category} to draw from"
        having = ", ".join(f"{name} {value}" for name, value in need.wanted.items())
        where = f" at {', '.join(need.places)}" if need.places else ""
        return words + (f" with {having}" if having else "") + where

    def _as_taken(self, got: _Got) -> Taken:
        task = self._task
        every = {**got.whole, **got.shared}
        carrier = got.whole.get(got.carrier)
        settings: dict[str, Setting] = dict(task.settings)
        if task.action == "change":
            settings = {**got.before.get(got.carrier, Usage()).settings, **settings}
        for name, (slot, of) in task.derived.items():
            if slot in every and (value := _value(every[slot], of)) is not None:
                settings[name] = value
        return Taken(
            task=task.id,
            service=task.service,
            action=task.action,
            resources={slot: one["id"] for slot, one in every.items()},
            names={slot: str(one.get("name") or one["id"]) for slot, one in every.items()},
            before=got.before,
            settings={} if task.action == "cease" else settings,
            element=str(got.element["id"]) if got.element else "",
            target=_target(got.element),
            port=key_of(carrier) if carrier else "",
            holder=self._holder,
            product=task.product,
            shared=tuple(got.shared),
            carrier=got.carrier,
            head=str(of_resource(carrier or {}).get("testAddress") or ""),
        )


#: What people call resources of a category.
_CALLED: Mapping[str, str] = {"accessPort": "access port", "simCard": "SIM card"}


def _refusal(error: Exception) -> Refused:
    return error if isinstance(error, Refused) else Refused(str(error))


def _along(need: Need, task: Task) -> bool:
    """Return whether a need is met on the element of the carrier."""
    carrier = next((one for one in task.needs if one.carrier), None)
    return bool(need.on) and carrier is not None and need.on == carrier.on


def _matched(needs: tuple[Need, ...], found: list[Resource]) -> Iterator[tuple[Need, Resource]]:
    left = list(found)
    for need in needs:
        one = next((r for r in left if r.get("category") == need.category), None)
        if one is not None and not need.amount:
            left.remove(one)
            yield need, one


def _slots(needs: tuple[Need, ...], found: list[Resource]) -> dict[str, Resource]:
    """Return resources by the slots of their needs, or else by their categories."""
    named = {need.slot: one for need, one in _matched(needs, found)}
    used = {one["id"] for one in named.values()}
    for one in found:
        if one["id"] in used:
            continue
        slot = category = str(one.get("category") or "resource")
        number = 1
        while slot in named:
            number += 1
            slot = f"{category}.{number}"
        named[slot] = one
    return named


def _value(resource: Resource, name: str) -> Setting | None:
    found = of_resource(resource)
    if name not in found and name in {"value", "name", str(resource.get("category"))}:
        return str(resource.get("value") or resource.get("name") or "") or None
    value = found.get(name)
    return value if isinstance(value, bool | int | str) else None


def _target(element: Resource | None) -> Target | None:
    if element is None:
        return None
    try:
        return target_of(element)
    except Misconfigured as error:
        raise Refused(str(error)) from error
