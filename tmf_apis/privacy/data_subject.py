"""A customer as a data subject: its ids, its data keys and the resources that belong to it."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tmf_apis.errors import NotFound, shortened
from tmf_apis.rest.pipeline.data_subjects import CUSTOMER_KIND, customer_subject, party_subject
from tmf_apis.security.personal_attributes import PersonalAttributes
from tmf_apis.store.resources import Document, ResourceStore

#: Documents that are read at a time.
BATCH_SIZE = 200


@dataclass(frozen=True, slots=True)
class DataSubject:
    """A customer and the party that it engages.

    Attributes:
        tenant: The tenant.
        customer: Id of the customer.
        party: Id of the engaged party; empty if there is none, or if it is a customer twice.
        shared_with: Ids of other customers of the same party, whose data stays.
    """

    tenant: str
    customer: str
    party: str = ""
    shared_with: tuple[str, ...] = ()

    @property
    def ids(self) -> list[str]:
        """The ids by which resources refer to the customer."""
        return [self.customer, *([self.party] if self.party else ())]

    @property
    def key_subjects(self) -> list[str]:
        """The subjects of the data keys of the customer."""
        return [customer_subject(self.customer), *map(party_subject, self.ids)]


class SubjectRepository:
    """Finds data subjects and their resources."""

    def __init__(
        self, resources: ResourceStore, kinds: Iterable[str], table: PersonalAttributes
    ) -> None:
        """Create the repository.

        Args:
            resources: The store.
            kinds: All kinds.
            table: The personal attributes; kinds without any do not belong to persons.
        """
        self._resources = resources
        self.kinds = [kind for kind in kinds if table.rules(kind) is not None]

    def get(self, tenant: str, customer: str) -> DataSubject:
        """Return a customer as a data subject.

        Raises:
            NotFound: There is no such customer (HTTP 404).
        """
        document = self._resources.find_one(
            CUSTOMER_KIND, {"tenant": tenant}, customer, {"id": 1, "body.engagedParty": 1}
        )
        if document is None:
            raise NotFound(f"there is no {CUSTOMER_KIND} {shortened(customer)}")
        engaged = document.get("body", {}).get("engagedParty")
        party = engaged.get("id") if isinstance(engaged, Mapping) else None
        if not isinstance(party, str) or not party:
            return DataSubject(tenant, customer)
        query = {"tenant": tenant, "body.engagedParty.id": party, "id": {"$ne": customer}}
        others = self._resources.find_many(CUSTOMER_KIND, query, {"id": 1})
        if others:
            return DataSubject(tenant, customer, "", tuple(row["id"] for row in others))
        return DataSubject(tenant, customer, party)

    def documents(
        self, subject: DataSubject, projection: Mapping[str, Any]
    ) -> Iterator[tuple[str, Document]]:
        """Yield kind and document of each resource of a customer, the customer itself last.

        A resource that also belongs to others is one of them; other customers are not.
        """
        for kind in self.kinds:
            if kind != CUSTOMER_KIND:
                query = {"tenant": subject.tenant, "parties": {"$in": subject.ids}}
                for document in self._batches(kind, query, projection):
                    yield kind, document
        access = {"tenant": subject.tenant}
        if own := self._resources.find_one(CUSTOMER_KIND, access, subject.customer, projection):
            yield CUSTOMER_KIND, own

    def _batches(
        self, kind: str, query: Mapping[str, Any], projection: Mapping[str, Any]
    ) -> Iterator[Document]:
        last = ""
        while True:
            following = {**query, "_id": {"$gt": last}}
            documents = self._resources.find_many(kind, following, projection, limit=BATCH_SIZE)
            yield from documents
            if len(documents) < BATCH_SIZE:
                return
            last = documents[-1]["_id"]
