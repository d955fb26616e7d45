"""An offering as it can be ordered: its recipe and what may be chosen, made once; pure."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from tmf_apis.fulfilment.characteristics import objects
from tmf_apis.fulfilment.design import blueprints
from tmf_apis.fulfilment.design.compiling import compiled
from tmf_apis.fulfilment.design.mapping import Choice, described, specified
from tmf_apis.fulfilment.design.recipes import Faulty, Recipe, Shelf, refers_to
from tmf_apis.fulfilment.values import Refused
from tmf_apis.rest.law import Resource

#: Characteristic of a product specification that names a blueprint.
SERVICE_TYPE = "serviceType"
#: Most offerings that are remembered.
_MOST = 1000


@dataclass(frozen=True, slots=True)
class RunningService:
    """A resource facing service that is on a resource now.

    Attributes:
        id: Its id.
        specification: Id of its ServiceSpecification; empty: not known.
        settings: How it is set up; empty: not known.
        names: Ids, names and natural keys of its carrier.
        places: Ids of the places where its carrier is.
    """

    id: str
    specification: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)
    names: frozenset[str] = frozenset()
    places: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Running:
    """A product that is in operation, or a service that was ordered by itself.

    Attributes:
        services: Its resource facing services.
        offering: Id of its offering, of a service of its specification; empty: not known.
        characteristics: As they were chosen; empty: not known.
        status: ``active``, ``suspended``; empty: not known.
        parts: Ids of the products inside it that have services.
        customers: Its customer facing services, where they keep their ids: from ids to the ids of
            their specifications.
        bound: Why it is not to be changed by itself; empty: it may be.
    """

    services: tuple[RunningService, ...] = ()
    offering: str = ""
    characteristics: Mapping[str, Any] = field(default_factory=dict)
    status: str = ""
    parts: tuple[str, ...] = ()
    customers: Mapping[str, str] = field(default_factory=dict)
    bound: str = ""


@dataclass(frozen=True, slots=True)
class Catalogue:
    """What planning knows beside the order.

    Attributes:
        offerings: By id.
        specifications: Product specifications by id.
        services: Service specifications by id.
        resources: Resource specifications by id.
        types: From a ``serviceType`` to the id of the tenant's own service specification of that
            name.
        running: Products in operation by id.
        roots: Service specifications as they are where they are ordered by themselves, by id;
            ``offerings`` has an offering of each.
    """

    offerings: Mapping[str, Resource] = field(default_factory=dict)
    specifications: Mapping[str, Resource] = field(default_factory=dict)
    services: Mapping[str, Resource] = field(default_factory=dict)
    resources: Mapping[str, Resource] = field(default_factory=dict)
    types: Mapping[str, str] = field(default_factory=dict)
    running: Mapping[str, Running] = field(default_factory=dict)
    roots: Mapping[str, Resource] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Offer:
    """An offering as it can be ordered.

    Attributes:
        id: Of the offering.
        name: What it is called.
        specification: Id of its product specification; empty: it has none.
        recipe: What it takes; None: nothing on the network, by itself.
        choices: What may be chosen.
        parts: Ids of the offerings inside it, each as often as it is inside.
    """

    id: str
    name: str
    specification: str
    recipe: Recipe | None = None
    choices: Mapping[str, Choice] = field(default_factory=dict)
    parts: tuple[str, ...] = ()

    def chosen(self, wanted: Mapping[str, Any], before: Mapping[str, Any]) -> dict[str, Any]:
        """Return the characteristics of a product of this offering.

        Args:
            wanted: What the order says; what the specification does not have is left out.
            before: What the product has; what the offering does not allow is left out.

        Raises:
            Faulty: What is wanted is not allowed; all reasons.
        """
        made, reasons = {}, []
        for name, choice in self.choices.items():
            try:
                value = _one(choice, name, wanted, before)
            except Refused as error:
                reasons.append(str(error))
                continue
            if value is not None:
                made[name] = value
        if reasons:
            raise Faulty(reasons)
        return made


def _one(choice: Choice, name: str, wanted: Mapping[str, Any], before: Mapping[str, Any]) -> Any:  # noqa: ANN401
    if name in wanted:
        return choice.take(wanted[name], choice.unit)
    if name in before:
        try:
            return choice.take(before[name], choice.unit)
        except Refused:  # another offering by now
            return choice.default
    if choice.default is None and choice.required:
        raise Refused(f"{choice.where}: nothing was chosen for {name}")
    return choice.default


class Cookbook:
    """Offers, each kept for as long as everything that it was made of stays the same."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], tuple[list[_Read], Offer | Faulty]] = {}

    def offer(self, tenant: str, id: str, catalogue: Catalogue) -> Offer:
        """Return an offering as it can be ordered.

        Raises:
            Faulty: It is unknown or cannot be fulfilled; all reasons.
        """
        known = self._known.get((tenant, id))
        if known is None or not all(read.same(catalogue) for read in known[0]):
            if len(self._known) >= _MOST:
                self._known.clear()
            known = self._known[tenant, id] = _made(id, catalogue)
        if isinstance(known[1], Faulty):
            raise Faulty(known[1].reasons)
        return known[1]


@dataclass(frozen=True, slots=True)
class _Read:
    """Something that was looked up in the catalogue, and what was found."""

    part: Callable[[Catalogue], Mapping[str, Any]]
    id: str
    found: object

    def same(self, catalogue: Catalogue) -> bool:
        now = self.part(catalogue).get(self.id)
        return now is self.found or now == self.found


class _Watched(Mapping[str, Any]):
    """A part of the catalogue that notes what is looked up."""

    def __init__(
        self,
        part: Callable[[Catalogue], Mapping[str, Any]],
        catalogue: Catalogue,
        read: list[_Read],
        shipped: Mapping[str, Any],
    ) -> None:
        self._part, self._read = part, read
        self._own, self._shipped = part(catalogue), shipped

    def __getitem__(self, id: str) -> Any:  # noqa: ANN401
        found = self._own.get(id)
        self._read.append(_Read(self._part, id, found))
        return self._shipped[id] if found is None else found

    def __iter__(self) -> Iterator[str]:
        return iter(self._own)

    def __len__(self) -> int:
        return len(self._own)


def _offerings(catalogue: Catalogue) -> Mapping[str, Any]:
    return catalogue.offerings


def _specifications(catalogue: Catalogue) -> Mapping[str, Any]:
    return catalogue.specifications


def _services(id: str, catalogue: Catalogue) -> Mapping[str, Any]:
    """Return the service specifications as they are where one of them is ordered, or an offer."""
    if (root := catalogue.roots.get(id)) is None:
        return catalogue.services
    return {**catalogue.services, id: root}


def _resources(catalogue: Catalogue) -> Mapping[str, Any]:
    return catalogue.resources


def _types(catalogue: Catalogue) -> Mapping[str, Any]:
    return catalogue.types


def _made(id: str, catalogue: Catalogue) -> tuple[list[_Read], Offer | Faulty]:
    read: list[_Read] = []
    offering = _Watched(_offerings, catalogue, read, {}).get(id)
    if offering is None:
        return read, Faulty([f"the catalogue has no {called(catalogue, id)}"])
    specification = of(offering)
    product = _Watched(_specifications, catalogue, read, {}).get(specification)
    shelf = Shelf(
        _Watched(partial(_services, id), catalogue, read, blueprints.SERVICES),
        _Watched(_resources, catalogue, read, blueprints.RESOURCES),
    )
    name = str(offering.get("name") or id)
    where = called(catalogue, id)
    try:
        types = _Watched(_types, catalogue, read, blueprints.TYPES)
        recipe = recipe_of(product, shelf, types) if product else None
        choices = _narrowed(recipe, offering, where) if recipe else {}
    except Faulty as fault:
        return read, Faulty(f"{where}: {reason}" for reason in fault.reasons)
    except Refused as error:
        return read, Faulty([f"{where}: {error}"])
    return read, Offer(id, name, specification, recipe, choices, tuple(inside(offering)))


def called(catalogue: Catalogue, id: str) -> str:
    """Return what people call what is ordered: an offering, or a service by itself."""
    return f"{'service specification' if id in catalogue.roots else 'offering'} {id}"


def recipe_of(product: Mapping[str, Any], shelf: Shelf, types: Mapping[str, str]) -> Recipe | None:
    """Return the recipe of a product specification; None: it is nothing for the network.

    Args:
        product: The ProductSpecification.
        shelf: The specifications of services and resources.
        types: From a ``serviceType`` to the id of the specification that stands for it.

    Raises:
        Faulty: It cannot be fulfilled; all reasons.
    """
    roots = refers_to(product, "serviceSpecification")
    if any(root in shelf.services for root in roots):
        return compiled(product, roots, shelf)
    kinds = service_types(product)
    if not kinds:
        return None
    if len(kinds) == 1 and (root := types.get(kinds[0])):
        return compiled(product, [root], shelf)
    known = ", ".join(sorted(blueprints.TYPES))
    reason = (
        f"there is no way to fulfil serviceType {', '.join(kinds)}: the service catalogue has no"
        f" specification of that name, and those that are shipped are {known}"
    )
    raise Faulty([reason])


def service_types(product: Mapping[str, Any]) -> list[str]:
    """Return the values of a product specification's ``serviceType``."""
    return [
        str(value.get("value"))
        for one in objects(product.get("productSpecCharacteristic"))
        if one.get("name") == SERVICE_TYPE
        for value in specified(one)
    ]


def _narrowed(recipe: Recipe, offering: Mapping[str, Any], where: str) -> dict[str, Choice]:
    """Return what may be chosen: what the specification allows, less what the offering leaves."""
    made = dict(recipe.choices)
    for one in objects(offering.get("prodSpecCharValueUse")):
        name, values = str(one.get("name")), specified(one)
        if not values or (general := made.get(name)) is None:
            continue
        use = described({"valueType": general.type, **one}, values, where, general.unit)
        free = Choice(name, where, general.type, general.unit)
        options = tuple(free.take(value, use.unit) for value in use.options)
        default = None if use.default is None else free.take(use.default, use.unit)
        made[name] = Choice(
            name, where, general.type, general.unit, options or general.options,
            default if options else general.default, use.low or general.low,
            use.high or general.high, general.required,
        )  # fmt: skip
    return {name: _as_offered(choice, where) for name, choice in made.items()}


def _as_offered(choice: Choice, where: str) -> Choice:
    return Choice(
        choice.name, where, choice.type, choice.unit, choice.options, choice.default, choice.low,
        choice.high, choice.required,
    )  # fmt: skip


def of(offering: Mapping[str, Any]) -> str:
    """Return the id of an offering's product specification; empty where it has none."""
    return _id(offering.get("productSpecification"))


def inside(offering: Mapping[str, Any]) -> list[str]:
    """Return the ids of the offerings that are sold inside another, each as often as it is."""
    return [
        id
        for one in objects(offering.get("bundledProductOffering"))
        if (id := _id(one))
        for _ in range(_times(one.get("bundledProductOfferingOption")))
    ]


def _times(option: object) -> int:
    if not isinstance(option, Mapping):
        return 1
    for name in ("numberRelOfferDefault", "numberRelOfferLowerLimit"):
        if isinstance(number := option.get(name), int) and not isinstance(number, bool):
            return max(0, min(number, 100))
    return 1


def _id(reference: object) -> str:
    id = reference.get("id") if isinstance(reference, Mapping) else None
    return id if isinstance(id, str) else ""
