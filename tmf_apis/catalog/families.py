"""The catalogues of products, services and resources: what tells them apart, as data."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from tmf_apis.catalog.states import ENTITIES
from tmf_apis.catalog.tree import Tree


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """One catalogue API.

    Attributes:
        number: Its number.
        base_path: Where the version is mounted whose form is stored.
        entities: Its kinds, jobs apart; what is referred to before what refers to it.
        tree: Its categories.
        importing: Kind of its import jobs.
        exporting: Kind of its export jobs.
        spelled: What else a file may call a kind.
        subtypes: Types that have a name of their own, and the kind that each is of.
        states: Whether a change of the life cycle has an event of its own.
    """

    number: str
    base_path: str
    entities: tuple[str, ...]
    tree: Tree
    importing: str
    exporting: str
    spelled: Mapping[str, str] = field(default_factory=dict)
    subtypes: Mapping[str, str] = field(default_factory=dict)
    states: bool = True

    @property
    def kept(self) -> Mapping[str, tuple[str, ...]]:
        """What the server keeps in step itself and a file therefore does not have to say."""
        return {self.tree.kind: (self.tree.children, "isRoot", self.tree.parent)}

    def kind_named(self, name: object) -> str | None:
        """Return the kind that a type in a file is of; None: of none of these."""
        if name in self.entities:
            return str(name)
        return self.spelled.get(str(name)) or self.subtypes.get(str(name))

    def kind_at(self, path: str) -> str | None:
        """Return the kind whose collection a path ends with.

        >>> PRODUCTS.kind_at("/tmf-api/productCatalogManagement/v4/productOffering")
        'ProductOffering'
        """
        name = path.rstrip("/").rpartition("/")[2].lower()
        names = {kind.lower(): kind for kind in self.entities}
        names |= {other.lower(): kind for other, kind in self.spelled.items()}
        return names.get(name)


PRODUCTS = Family(
    number="TMF620",
    base_path="/tmf-api/productCatalogManagement/v5",
    entities=ENTITIES,
    tree=Tree(kind="Category", parent="parent", children="subCategory", nested=True),
    importing="ImportJob",
    exporting="ExportJob",
    spelled={"Catalog": "ProductCatalog"},
)

SERVICES = Family(
    number="TMF633",
    base_path="/tmf-api/serviceCatalogManagement/v4",
    entities=("ServiceCatalog", "ServiceCategory", "ServiceSpecification", "ServiceCandidate"),
    tree=Tree(kind="ServiceCategory", parent="parentId", children="category"),
    importing="ServiceImportJob",
    exporting="ServiceExportJob",
    subtypes={
        "CustomerFacingServiceSpecification": "ServiceSpecification",
        "ResourceFacingServiceSpecification": "ServiceSpecification",
    },
    states=False,
)

RESOURCES = Family(
    number="TMF634",
    base_path="/tmf-api/resourceCatalog/v4",
    entities=("ResourceCatalog", "ResourceCategory", "ResourceSpecification", "ResourceCandidate"),
    tree=Tree(kind="ResourceCategory", parent="parentId", children="category"),
    importing="ResourceImportJob",
    exporting="ResourceExportJob",
    subtypes={
        "LogicalResourceSpecification": "ResourceSpecification",
        "PhysicalResourceSpecification": "ResourceSpecification",
        "ResourceFunctionSpecification": "ResourceSpecification",
    },
    states=False,
)

FAMILIES = (PRODUCTS, SERVICES, RESOURCES)
