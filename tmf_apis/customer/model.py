"""How customers lie in the database."""

from typing import Any, ClassVar

from tmf_apis.store.indexes import by
from tmf_apis.store.model import Stored


class Customer(Stored):
    """A party in its role as a customer."""

    meta: ClassVar[dict[str, Any]] = {
        "collection": "Customer",
        "indexes": [
            by("engagedParty.id"),
            by("status"),
            by("name"),
            by("account.id"),
            by("relatedParty.partyOrPartyRole.id"),
            by("contactMedium.emailAddress"),
        ],
    }
