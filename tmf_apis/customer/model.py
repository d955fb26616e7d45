"""The collection of customers and its indexes."""

from typing import Any, ClassVar

from tmf_apis.store.indexes import body_index
from tmf_apis.store.model import StoredResource


class Customer(StoredResource):
    """A party in the role of a customer."""

    meta: ClassVar[dict[str, Any]] = {
        "collection": "Customer",
        "indexes": [
            body_index("engagedParty.id"),
            body_index("status"),
            body_index("name"),
            body_index("account.id"),
            body_index("relatedParty.partyOrPartyRole.id"),
        ],
    }
