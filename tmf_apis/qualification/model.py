"""How questions and their answers lie in the database."""

from typing import Any, ClassVar

from tmf_apis.store.indexes import by
from tmf_apis.store.model import Stored


class CheckServiceQualification(Stored):
    """Whether certain services can be had."""

    meta: ClassVar[dict[str, Any]] = {
        "collection": "CheckServiceQualification",
        "indexes": [by("state"), by("externalId"), by("checkServiceQualificationDate")],
    }


class QueryServiceQualification(Stored):
    """Which services can be had."""

    meta: ClassVar[dict[str, Any]] = {
        "collection": "QueryServiceQualification",
        "indexes": [by("state"), by("externalId"), by("queryServiceQualificationDate")],
    }
