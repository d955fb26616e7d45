"""The collections of qualifications and their indexes."""

from typing import Any, ClassVar

from tmf_apis.store.indexes import body_index
from tmf_apis.store.model import StoredResource


class CheckServiceQualification(StoredResource):
    """A check of the availability of given services."""

    meta: ClassVar[dict[str, Any]] = {
        "collection": "CheckServiceQualification",
        "indexes": [
            body_index("state"),
            body_index("externalId"),
            body_index("checkServiceQualificationDate"),
        ],
    }


class QueryServiceQualification(StoredResource):
    """A query for the services that are available."""

    meta: ClassVar[dict[str, Any]] = {
        "collection": "QueryServiceQualification",
        "indexes": [
            body_index("state"),
            body_index("externalId"),
            body_index("queryServiceQualificationDate"),
        ],
    }
