"""Differences between the catalogues of products, services and resources, as data."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from tmf_apis.catalog.category_tree import CategoryTree
from tmf_apis.catalog.states import PRODUCT_CATALOG_KINDS


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogDefinition:
    """One catalogue API.

    Attributes:
        number: Number of the API.
        base_path: Base path of the version in whose form entities are stored.
        entity_kinds: Kinds of its entities, a kind after those that it refers to.
        category_tree: The tree of its categories.
        import_job_kind: Kind of its import jobs.
        export_job_kind: Kind of its export jobs.
        kind_aliases: From other names of kinds in files to the kinds.
        subtypes: From subtypes to their kinds.
        has_state_change_event: A change of the lifecycle status has an event of its own.
    """

    number: str
    base_path: str
    entity_kinds: tuple[str, ...]
    category_tree: CategoryTree
    import_job_kind: str
    export_job_kind: str
    kind_aliases: Mapping[str, str] = field(default_factory=dict)
    subtypes: Mapping[str, str] = field(default_factory=dict)
    has_state_change_event: bool = True

    @property
    def server_maintained_attributes(self) -> Mapping[str, tuple[str, ...]]:
        """Attributes by kind that the server maintains and that a file may leave out."""
        return {
            self.category_tree.kind: (
                self.category_tree.children_attribute,
                "isRoot",
                self.category_tree.parent_attribute,
            )
        }

    def kind_of_type(self, type_name: object) -> str | None:
        """Return the kind of a type in a file; None if it belongs to no kind of this catalogue."""
        if type_name in self.entity_kinds:
            return str(type_name)
        return self.kind_aliases.get(str(type_name)) or self.subtypes.get(str(type_name))

    def kind_at_path(self, path: str) -> str | None:
        """Return the kind of the collection at a path; None if there is no such collection.

        >>> PRODUCT_CATALOG.kind_at_path("/tmf-api/productCatalogManagement/v4/productOffering")
        'ProductOffering'
        """
        segment = path.rstrip("/").rpartition("/")[2].lower()
        kinds = {kind.lower(): kind for kind in self.entity_kinds}
        kinds |= {alias.lower(): kind for alias, kind in self.kind_aliases.items()}
        return kinds.get(segment)


PRODUCT_CATALOG = CatalogDefinition(
    number="TMF620",
    base_path="/tmf-api/productCatalogManagement/v5",
    entity_kinds=PRODUCT_CATALOG_KINDS,
    category_tree=CategoryTree(
        kind="Category",
        parent_attribute="parent",
        children_attribute="subCategory",
        parent_is_reference=True,
    ),
    import_job_kind="ImportJob",
    export_job_kind="ExportJob",
    kind_aliases={"Catalog": "ProductCatalog"},
)

SERVICE_CATALOG = CatalogDefinition(
    number="TMF633",
    base_path="/tmf-api/serviceCatalogManagement/v4",
    entity_kinds=("ServiceCatalog", "ServiceCategory", "ServiceSpecification", "ServiceCandidate"),
    category_tree=CategoryTree(
        kind="ServiceCategory", parent_attribute="parentId", children_attribute="category"
    ),
    import_job_kind="ServiceImportJob",
    export_job_kind="ServiceExportJob",
    subtypes={
        "CustomerFacingServiceSpecification": "ServiceSpecification",
        "ResourceFacingServiceSpecification": "ServiceSpecification",
    },
    has_state_change_event=False,
)

RESOURCE_CATALOG = CatalogDefinition(
    number="TMF634",
    base_path="/tmf-api/resourceCatalog/v4",
    entity_kinds=(
        "ResourceCatalog",
        "ResourceCategory",
        "ResourceSpecification",
        "ResourceCandidate",
    ),
    category_tree=CategoryTree(
        kind="ResourceCategory", parent_attribute="parentId", children_attribute="category"
    ),
    import_job_kind="ResourceImportJob",
    export_job_kind="ResourceExportJob",
    subtypes={
        "LogicalResourceSpecification": "ResourceSpecification",
        "PhysicalResourceSpecification": "ResourceSpecification",
        "ResourceFunctionSpecification": "ResourceSpecification",
    },
    has_state_change_event=False,
)

CATALOG_DEFINITIONS = (PRODUCT_CATALOG, SERVICE_CATALOG, RESOURCE_CATALOG)
