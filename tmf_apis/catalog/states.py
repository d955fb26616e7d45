"""The life of catalogue entities and of the jobs that carry them in and out, as data.

Source: TMF620 v4.1 and v5.0, life cycle of catalogue entities; JobStateType.
"""

from typing import Any

from tmf_apis.rest.law import Lifecycle

_NONE: frozenset[str] = frozenset()

#: The kinds that share the life cycle of catalogue entities.
ENTITIES = (
    "ProductCatalog",
    "Category",
    "ProductSpecification",
    "ProductOfferingPrice",
    "ProductOffering",
)

#: From the first idea to the last customer. A new entity may be in any state, so that an existing
#: catalogue can be loaded; the contracts type the status as free text, so a status that is not
#: published is kept as it is and the machine applies again once it has a published one.
ENTITY = Lifecycle(
    attribute="lifecycleStatus",
    initial=(
        "In study",
        "In design",
        "In test",
        "Active",
        "Launched",
        "Retired",
        "Obsolete",
        "Rejected",
    ),
    steps={
        "In study": frozenset({"In design", "Rejected"}),
        "In design": frozenset({"In test", "Rejected"}),
        "In test": frozenset({"In design", "Active", "Rejected"}),
        "Active": frozenset({"Launched", "Retired"}),
        "Launched": frozenset({"Active", "Retired"}),
        "Retired": frozenset({"Obsolete"}),
        "Obsolete": _NONE,
        "Rejected": _NONE,
    },
    open=True,
    source="TMF620 Product Catalog Management, life cycle of catalogue entities",
)

#: States in which customers may already hold what the entity describes.
ON_SALE = frozenset({"Active", "Launched"})

#: An import or export; every step is the server's. A job that was interrupted is still
#: ``Running`` and begins again from the start.
JOB = Lifecycle(
    attribute="status",
    initial=("Not Started",),
    assigned=True,
    steps={"Not Started": _NONE, "Running": _NONE, "Succeeded": _NONE, "Failed": _NONE},
    system={
        "Not Started": frozenset({"Running", "Failed"}),
        "Running": frozenset({"Succeeded", "Failed"}),
    },
    source="TMF620 Product Catalog Management, JobStateType",
)


def machines() -> list[dict[str, Any]]:
    """Return the state machines of this room for clients to read."""
    entities = [ENTITY.as_resource(kind) for kind in ENTITIES]
    return [*entities, *(JOB.as_resource(kind) for kind in ("ImportJob", "ExportJob"))]
