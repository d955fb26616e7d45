"""Erasure of a customer: destroys its data keys, and overwrites what is not encrypted.

An erasure is a document of the collection ``erasures``::

    _id, tenant, customer, party, sharedWith, requestedBy, requested
    state        "inProgress", or "completed"
    certificate  the signed certificate; only if it is completed

Every step can be repeated. An erasure that was interrupted is completed by the worker. Bills,
orders and products stay, without the person: the law requires the operator to keep them.
"""

import uuid
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Any

import orjson
from pymongo import UpdateOne

from tmf_apis.audit_log.signing import SigningKey
from tmf_apis.errors import Conflict, NotFound, shortened
from tmf_apis.events import inbox
from tmf_apis.events.delivery_queue import COLLECTION as DELIVERIES
from tmf_apis.privacy.certificates import signed
from tmf_apis.privacy.data_subject import DataSubject, SubjectRepository
from tmf_apis.privacy.overwriting import Overwriter
from tmf_apis.rest.contracts.dates import rfc3339
from tmf_apis.rest.pipeline.writer import ResourceWriter
from tmf_apis.security.identity import Identity
from tmf_apis.store.connection import MongoDatabase, translate_errors
from tmf_apis.store.data_keys import DataKeys
from tmf_apis.store.resources import Document

COLLECTION = "erasures"
#: Kinds that must have ended: their work needs the personal data.
_ORDER_KINDS = ("ProductOrder", "ServiceOrder")
_PROJECTION = dict.fromkeys(("id", "body", "events", "idem"), 1)
#: Most events of one delivery batch that are looked through.
_INBOX_BATCH = 200


class Erasure:
    """Erases customers."""

    def __init__(  # noqa: PLR0913, PLR0917
        self,
        database: MongoDatabase,
        writer: ResourceWriter,
        keys: DataKeys,
        subjects: SubjectRepository,
        overwriter: Overwriter,
        signing_key: Callable[[], SigningKey],
    ) -> None:
        """Store the collaborators.

        Args:
            database: The database.
            writer: Overwrites resources, with audit entries and events.
            keys: The data keys.
            subjects: Finds the resources of a customer.
            overwriter: Returns resources without the customer.
            signing_key: Returns the key that signs certificates.
        """
        self._database = database
        self._writer = writer
        self._keys = keys
        self._subjects = subjects
        self._overwriter = overwriter
        self._signing_key = signing_key

    def erase(self, tenant: str, customer: str, requested_by: str) -> Mapping[str, Any]:
        """Erase a customer and return the certificate.

        Args:
            tenant: The tenant.
            customer: Id of the customer.
            requested_by: The subject that requests it.

        Raises:
            NotFound: There is no such customer (HTTP 404).
            Conflict: An order of the customer is in progress (HTTP 409).
        """
        subject = self._subjects.get(tenant, customer)
        self._require_ended_orders(subject)
        record: Document = {
            "_id": uuid.uuid4().hex,
            "tenant": tenant,
            "customer": customer,
            "party": subject.party,
            "sharedWith": list(subject.shared_with),
            "requestedBy": requested_by,
            "requested": datetime.now(UTC),
            "state": "inProgress",
        }
        with translate_errors():
            self._database[COLLECTION].insert_one(record)
        return self._complete(record)

    def certificate(self, tenant: str, id: str) -> Mapping[str, Any]:
        """Return the certificate of a completed erasure.

        Raises:
            NotFound: There is no such erasure, or it is not completed (HTTP 404).
        """
        with translate_errors():
            record = self._database[COLLECTION].find_one({"_id": id, "tenant": tenant})
        if record is None or "certificate" not in record:
            raise NotFound(f"there is no completed erasure {shortened(id)}")
        certificate: Mapping[str, Any] = record["certificate"]
        return certificate

    def resume(self) -> int:
        """Complete the erasures that were interrupted; return their number."""
        with translate_errors():
            records = list(self._database[COLLECTION].find({"state": "inProgress"}))
        for record in records:
            self._complete(record)
        return len(records)

    def _complete(self, record: Document) -> Mapping[str, Any]:
        """Carry out all steps of an erasure; each can be repeated."""
        subject = DataSubject(
            record["tenant"], record["customer"], record["party"], tuple(record["sharedWith"])
        )
        keys = self._keys.destroy(subject.tenant, subject.key_subjects)
        overwritten = self._overwrite(subject, {row["_id"] for row in keys})
        self._delete_notifications(subject)
        certificate = signed(
            {
                "@type": "ErasureCertificate",
                "id": record["_id"],
                "tenant": subject.tenant,
                "customer": subject.customer,
                "party": subject.party or None,
                "partyKeptFor": list(subject.shared_with),
                "requestedBy": record["requestedBy"],
                "requestDate": rfc3339(record["requested"]),
                "completionDate": rfc3339(datetime.now(UTC)),
                "destroyedKey": sorted(row["_id"] for row in keys),
                "keptWithoutPerson": dict(sorted(overwritten.items())),
            },
            self._signing_key(),
        )
        change = {"state": "completed", "certificate": certificate}
        with translate_errors():
            self._database[COLLECTION].update_one({"_id": record["_id"]}, {"$set": change})
        return certificate

    def _require_ended_orders(self, subject: DataSubject) -> None:
        """Check that fulfilment needs the data of a customer no more.

        Raises:
            Conflict: An order is in progress (HTTP 409).
        """
        for kind in _ORDER_KINDS:
            lifecycle = self._writer.policy_of(kind).lifecycle
            if lifecycle is None:
                continue
            query = {
                "tenant": subject.tenant,
                "parties": {"$in": subject.ids},
                f"body.{lifecycle.attribute}": {"$nin": sorted(lifecycle.final_states)},
            }
            rows = self._writer.resources.find_many(kind, query, {"id": 1}, limit=1)
            for row in rows:
                raise Conflict(f"{kind} {row['id']} is in progress; cancel or complete it first")

    def _overwrite(self, subject: DataSubject, destroyed: Collection[str]) -> Counter[str]:
        """Overwrite the resources of a customer and the copies of them; return their numbers."""
        counts: Counter[str] = Counter()
        identity = Identity("erasure", subject.tenant)
        context = self._writer.request_context(identity, system=True)
        for kind, document in self._subjects.documents(subject, _PROJECTION):
            key = document.get("seal", {}).get("key")
            edit = partial(
                self._overwriter.overwritten,
                kind,
                ids=subject.ids,
                is_shared=key is not None and key not in destroyed,
            )
            self._delete_copies(kind, document, edit, is_unreadable=key in destroyed)
            self._writer.change(identity, kind, document["id"], edit, context)
            counts[kind] += 1
        return counts

    def _delete_copies(
        self,
        kind: str,
        document: Document,
        edit: Callable[[Document], Document],
        *,
        is_unreadable: bool,
    ) -> None:
        """Overwrite pending events; delete deliveries and the first response to a request.

        If the personal values are unreadable, they are removed, and their tokens in the index.
        """
        writes = [UpdateOne({"_id": document["_id"]}, {"$unset": {"idem": ""}})]
        if is_unreadable:
            masked: list[Document] = [
                {"$set": {"text": "$seal.masked"}},
                {"$unset": ["seal", "blind"]},
            ]
            writes.append(UpdateOne({"_id": document["_id"], "seal": {"$exists": True}}, masked))
        for event in document.get("events", ()):
            body = edit(event["body"])
            writes.append(
                UpdateOne(
                    {"_id": document["_id"]},
                    {
                        "$set": {"events.$[event].body": body},
                        **({"$unset": {"events.$[event].seal": ""}} if is_unreadable else {}),
                    },
                    array_filters=[{"event.id": event["id"]}],
                )
            )
        tenant = document["_id"].partition(":")[0]
        with translate_errors():
            self._database[kind].bulk_write(writes)
            self._database[DELIVERIES].delete_many(
                {"tenant": tenant, "resource": f"{kind}:{document['id']}"}
            )

    def _delete_notifications(self, subject: DataSubject) -> None:
        """Delete the events of other systems that name a customer."""
        collection = self._database[inbox.COLLECTION]
        quoted = [f'"{id}"' for id in subject.ids]
        with translate_errors():
            cursor = collection.find({"tenant": subject.tenant}).batch_size(_INBOX_BATCH)
            matching = []
            for row in cursor:
                inbox.open_bodies([row], subject.tenant, self._keys)
                if _mentions(row.get("body"), quoted):
                    matching.append(row["_id"])
            if matching:
                collection.delete_many({"_id": {"$in": matching}})


def _mentions(body: object, quoted_ids: Iterable[str]) -> bool:
    text = orjson.dumps(body, default=str).decode()
    return any(id in text for id in quoted_ids)
