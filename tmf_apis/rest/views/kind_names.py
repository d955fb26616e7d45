"""The API of each known kind, and its name in each version."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

#: API number -> name in the mount path ``/tmf-api/<name>/v4``.
API_NAMES: Final[Mapping[str, str]] = {
    "TMF620": "productCatalogManagement",
    "TMF622": "productOrderingManagement",
    "TMF629": "customerManagement",
    "TMF639": "resourceInventoryManagement",
    "TMF642": "alarmManagement",
    "TMF678": "customerBillManagement",
}


@dataclass(frozen=True, slots=True)
class KindNames:
    """The API and the names of a kind.

    Attributes:
        api: The number of its API, such as ``"TMF620"``.
        v4: Its name in v4, which is also the name of its schema; None if v4 does not have it.
        v5: Its name in v5, which is the kind itself.
    """

    api: str
    v4: str | None
    v5: str

    def name(self, version: str) -> str:
        """Return its name in a version; the v5 name if v4 does not have it."""
        return (self.v4 or self.v5) if version == "v4" else self.v5

    @property
    def api_name(self) -> str:
        """The name of its API in the mount path."""
        return API_NAMES[self.api]


def _same_names(api: str, *kinds: str) -> dict[str, KindNames]:
    return {kind: KindNames(api, kind, kind) for kind in kinds}


def _task_names(*kinds: str) -> dict[str, KindNames]:
    return {kind: KindNames("TMF642", f"{kind}s", kind) for kind in kinds}


KIND_NAMES: Final[Mapping[str, KindNames]] = {
    "ProductCatalog": KindNames("TMF620", "Catalog", "ProductCatalog"),
    **_same_names("TMF620", "Category", "ProductOffering", "ProductOfferingPrice"),
    **_same_names("TMF620", "ProductSpecification", "ImportJob", "ExportJob"),
    **_same_names("TMF622", "ProductOrder", "CancelProductOrder"),
    **_same_names("TMF629", "Customer"),
    **_same_names("TMF639", "Resource"),
    **_same_names("TMF642", "Alarm"),
    **_task_names(
        "AckAlarm", "UnAckAlarm", "ClearAlarm", "CommentAlarm", "GroupAlarm", "UnGroupAlarm"
    ),
    **_same_names("TMF678", "CustomerBill", "CustomerBillOnDemand", "AppliedCustomerBillingRate"),
    "BillCycle": KindNames("TMF678", None, "BillCycle"),
}

#: Kind -> type -> the v4 collection of the type, for types that v4 keeps in separate collections.
SUBTYPES: Final[Mapping[str, Mapping[str, str]]] = {
    "Resource": {
        "PhysicalResource": "PhysicalResource",
        "LogicalResource": "LogicalResource",
        "SoftwareResource": "LogicalResource",
        "ResourceFunction": "LogicalResource",
    }
}
#: The subtypes that have their own event types in v4.
SUBTYPES_WITH_EVENTS: Final = frozenset({"PhysicalResource"})


def subtypes_of(kind: str, schema: str) -> tuple[str, ...]:
    """Return the types in a v4 collection of subtypes; empty for the collection of a whole kind.

    >>> subtypes_of("Resource", "PhysicalResource")
    ('PhysicalResource',)
    >>> subtypes_of("Resource", "Resource")
    ()
    """
    return tuple(type for type, name in SUBTYPES.get(kind, {}).items() if name == schema)


def is_type_of_kind(kind: str, type: str) -> bool:
    """Return whether a type is one of those of a kind that has several; True if it has one.

    >>> is_type_of_kind("Resource", "LogicalResource"), is_type_of_kind("Resource", "Router")
    (True, False)
    >>> is_type_of_kind("Alarm", "Router")
    True
    """
    return kind not in SUBTYPES or type == kind or type in SUBTYPES[kind]


def lower_first(name: str) -> str:
    """Return the name of a type as the contracts write it in paths and members."""
    return name[:1].lower() + name[1:]
