"""Lifecycles of catalogue entities and of import and export jobs, as data.

Source: TMF620 v4.1 and v5.0, life cycle of catalogue entities; JobStateType.
"""

from typing import Any

from tmf_apis.rest.pipeline.policy import Lifecycle

_NO_STATES: frozenset[str] = frozenset()

#: Kinds of entities of the product catalogue.
PRODUCT_CATALOG_KINDS = (
    "ProductCatalog",
    "Category",
    "ProductSpecification",
    "ProductOfferingPrice",
    "ProductOffering",
)

#: Lifecycle of a catalogue entity. A new entity may be in any state, so that an existing catalogue
#: can be loaded. The contracts type the status as free text: an entity keeps an unpublished status,
#: and the lifecycle applies again once it has a published one.
ENTITY_LIFECYCLE = Lifecycle(
    attribute="lifecycleStatus",
    initial_states=(
        "In study",
        "In design",
        "In test",
        "Active",
        "Launched",
        "Retired",
        "Obsolete",
        "Rejected",
    ),
    transitions={
        "In study": frozenset({"In design", "Rejected"}),
        "In design": frozenset({"In test", "Rejected"}),
        "In test": frozenset({"In design", "Active", "Rejected"}),
        "Active": frozenset({"Launched", "Retired"}),
        "Launched": frozenset({"Active", "Retired"}),
        "Retired": frozenset({"Obsolete"}),
        "Obsolete": _NO_STATES,
        "Rejected": _NO_STATES,
    },
    allows_unknown_states=True,
    source="TMF620 Product Catalog Management, life cycle of catalogue entities",
)

#: Lifecycle of an import or export job; only the server makes transitions. An interrupted job is
#: still ``Running`` and is repeated from the start.
JOB_LIFECYCLE = Lifecycle(
    attribute="status",
    initial_states=("Not Started",),
    server_sets_initial=True,
    transitions={
        "Not Started": _NO_STATES,
        "Running": _NO_STATES,
        "Succeeded": _NO_STATES,
        "Failed": _NO_STATES,
    },
    system_transitions={
        "Not Started": frozenset({"Running", "Failed"}),
        "Running": frozenset({"Succeeded", "Failed"}),
    },
    source="TMF620 Product Catalog Management, JobStateType",
)


def state_machines() -> list[dict[str, Any]]:
    """Return the state machines of the product catalogue as resources that clients can read."""
    entities = [ENTITY_LIFECYCLE.as_resource(kind) for kind in PRODUCT_CATALOG_KINDS]
    return [*entities, *(JOB_LIFECYCLE.as_resource(kind) for kind in ("ImportJob", "ExportJob"))]
