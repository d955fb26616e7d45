"""How questions and their answers lie in the database."""

from typing import Any, ClassVar

from tmf_apis.store.indexes import body_index
from tmf_apis.store.model import StoredResource


class CheckServiceQualification(StoredResource):
    """Whether certain services can be had."""

    meta: ClassVar[dict[str, Any]] = {
        "collection": "CheckServiceQualification",
        "indexes": [
            body_index("state"),
            body_index("externalId"),
            body_index("checkServiceQualificationDate"),
        ],
    }


class QueryServiceQualification(StoredResource):
    """Which services can be had."""

    meta: ClassVar[dict[str, Any]] = {
        "collection": "QueryServiceQualification",
        "indexes": [
            body_index("state"),
            body_index("externalId"),
            body_index("queryServiceQualificationDate"),
        ],
    }
