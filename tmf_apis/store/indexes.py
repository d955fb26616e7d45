"""Database indexes: declared by the models, created at the first start.

Fingerprints of created indexes are stored in the database, so a later start reads one document
only. The indexes of a model begin with the tenant and end with the id, as its queries do.
"""

import hashlib
from collections.abc import Collection, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import orjson
import pymongo
from pymongo import ASCENDING, IndexModel
from pymongo.errors import OperationFailure

from tmf_apis.store.connection import MongoDatabase
from tmf_apis.store.model import StoredResource

#: Collection for facts about the database itself.
META_COLLECTION = "meta"
#: Time limit for building the indexes of one collection, in seconds.
BUILD_TIMEOUT = 3600.0
#: MongoDB error codes: an index of this name, or of these keys, exists with other options.
CONFLICT_CODES = frozenset({85, 86})
#: Matches documents with pending events.
PENDING_EVENTS: Mapping[str, Any] = {"events.0.due": {"$exists": True}}
#: Serves ``PENDING_EVENTS``, and the relay's query for events that are due.
PENDING_INDEX = IndexModel(
    [("events.0.due", ASCENDING)],
    name="pending",
    partialFilterExpression=dict(PENDING_EVENTS),
)

#: Serves the queries of a party; every kind has it.
PARTY_INDEX: dict[str, Any] = {"fields": ["tenant", "parties", "_id"]}

#: Indexes of every kind. Each serves a query in test_indexes.py.
COMMON_INDEXES = (
    IndexModel([("tenant", ASCENDING), ("_id", ASCENDING)], name="tenant"),
    IndexModel([(name, ASCENDING) for name in PARTY_INDEX["fields"]], name="parties"),
    PENDING_INDEX,
    IndexModel(
        [("todo.at", ASCENDING)],
        name="todo",
        partialFilterExpression={"todo.at": {"$exists": True}},
    ),
    IndexModel(
        [("tenant", ASCENDING), ("idem.key", ASCENDING)],
        name="idempotency",
        unique=True,
        partialFilterExpression={"idem.key": {"$exists": True}},
    ),
)


#: Serves queries by the tokens of personal values, of the kinds that have any.
BLIND_INDEX = IndexModel(
    [("tenant", ASCENDING), ("blind", ASCENDING), ("_id", ASCENDING)],
    name="blind",
    partialFilterExpression={"blind": {"$exists": True}},
)


def body_index(*paths: str) -> dict[str, Any]:
    """Return an index on paths of the stored form, in that order, for a model's ``meta``."""
    return {"fields": ["tenant", *(f"body.{path}" for path in paths), "_id"]}


def index_models(document: type[StoredResource]) -> list[IndexModel]:
    """Return the indexes of a kind: the common ones and those that its model declares."""
    models = list(COMMON_INDEXES)
    keys = [list(model.document["key"].items()) for model in models]
    for spec in document._meta["index_specs"]:  # noqa: SLF001 - mongoengine has no public way
        options = {name: value for name, value in spec.items() if name not in {"fields", "cls"}}
        model = IndexModel(spec["fields"], **options)
        if list(model.document["key"].items()) not in keys:
            models.append(model)
    return models


def ensure_indexes(
    database: MongoDatabase,
    documents: Iterable[type[StoredResource]],
    personal_kinds: Collection[str] = (),
) -> None:
    """Create the indexes of these document classes, unless they exist.

    Runs one command for each collection, and only one read if all indexes exist.

    Args:
        database: The database.
        documents: The document classes.
        personal_kinds: The collections of documents with personal attributes.
    """
    models_by_name = {
        document._get_collection_name(): index_models(document)  # noqa: SLF001
        for document in documents
    }
    for name in models_by_name.keys() & set(personal_kinds):
        models_by_name[name].append(BLIND_INDEX)
    fingerprints = {name: _fingerprint(models) for name, models in models_by_name.items()}
    stored = database[META_COLLECTION].find_one({"_id": "indexes"}) or {}
    existing = stored.get("made", {})
    missing = [name for name in models_by_name if existing.get(name) != fingerprints[name]]
    if not missing:
        return

    def create(name: str) -> None:
        with pymongo.timeout(BUILD_TIMEOUT):
            _create(database, name, models_by_name[name])

    with ThreadPoolExecutor(4, "indexes") as executor:
        list(executor.map(create, missing))
    created = {f"made.{name}": fingerprints[name] for name in missing}
    database[META_COLLECTION].update_one({"_id": "indexes"}, {"$set": created}, upsert=True)


def _create(database: MongoDatabase, name: str, models: list[IndexModel]) -> None:
    """Create indexes; replace those that exist with other options."""
    try:
        database[name].create_indexes(models)
    except OperationFailure as error:
        if error.code not in CONFLICT_CODES:
            raise
        for model in models:
            _replace(database, name, model)


def _replace(database: MongoDatabase, name: str, model: IndexModel) -> None:
    try:
        database[name].create_indexes([model])
    except OperationFailure as error:
        if error.code not in CONFLICT_CODES:
            raise
        keys = list(model.document["key"].items())
        for index_name, index in database[name].index_information().items():
            if index_name == model.document["name"] or index["key"] == keys:
                database[name].drop_index(index_name)
        database[name].create_indexes([model])


def _fingerprint(models: list[IndexModel]) -> str:
    specs = [[list(model.document["key"].items()), model.document] for model in models]
    return hashlib.sha256(orjson.dumps(specs, default=str)).hexdigest()
