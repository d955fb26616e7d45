"""Indexes: declared by the documents, made once, seen at a glance on the next start.

A model's own lead with the tenant and end with the id, as every query and page does.
"""

import hashlib
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import orjson
import pymongo
from pymongo import ASCENDING, IndexModel
from pymongo.errors import OperationFailure

from tmf_apis.store.connection import MongoDatabase
from tmf_apis.store.model import StoredResource

#: Collection of what the server notes about the database itself.
META_COLLECTION = "meta"
#: Longest time that building the indexes of one collection may take, in seconds.
BUILD_TIMEOUT = 3600.0
#: MongoDB error codes: an index of this name, or of these keys, is there with other options.
CONFLICT_CODES = frozenset({85, 86})
#: Finds documents with events that wait for the relay, by the index ``pending``; the relay asks
#: for those that are due.
PENDING_EVENTS: Mapping[str, Any] = {"events.0.due": {"$exists": True}}

#: Finds what one party may see; every kind has it.
PARTY_INDEX: dict[str, Any] = {"fields": ["tenant", "parties", "_id"]}

#: What every kind has. Each is here for one query, which test_indexes.py shows.
COMMON_INDEXES = (
    IndexModel([("tenant", ASCENDING), ("_id", ASCENDING)], name="tenant"),
    IndexModel([(name, ASCENDING) for name in PARTY_INDEX["fields"]], name="parties"),
    IndexModel(
        [("events.0.due", ASCENDING)],
        name="pending",
        partialFilterExpression={"events.0.due": {"$exists": True}},
    ),
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


def body_index(*paths: str) -> dict[str, Any]:
    """Return an index over paths of the stored form, in that order, for a model's ``meta``."""
    return {"fields": ["tenant", *(f"body.{path}" for path in paths), "_id"]}


def index_models(document: type[StoredResource]) -> list[IndexModel]:
    """Return the indexes of a kind: those of every kind and those its model declares."""
    models = list(COMMON_INDEXES)
    keys = [list(model.document["key"].items()) for model in models]
    for spec in document._meta["index_specs"]:  # noqa: SLF001 - mongoengine has no public way
        options = {name: value for name, value in spec.items() if name not in {"fields", "cls"}}
        model = IndexModel(spec["fields"], **options)
        if list(model.document["key"].items()) not in keys:
            models.append(model)
    return models


def ensure_indexes(database: MongoDatabase, documents: Iterable[type[StoredResource]]) -> None:
    """Make the indexes of these documents, where they are not known to exist.

    One command a collection; nothing but one read where all of them were made before.
    """
    wanted = {one._get_collection_name(): index_models(one) for one in documents}  # noqa: SLF001
    marks = {name: _fingerprint(models) for name, models in wanted.items()}
    notes = database[META_COLLECTION].find_one({"_id": "indexes"}) or {}
    made = notes.get("made", {})
    missing = [name for name in wanted if made.get(name) != marks[name]]
    if not missing:
        return

    def make(name: str) -> None:
        with pymongo.timeout(BUILD_TIMEOUT):
            _create(database, name, wanted[name])

    with ThreadPoolExecutor(4, "indexes") as pool:
        list(pool.map(make, missing))
    news = {f"made.{name}": marks[name] for name in missing}
    database[META_COLLECTION].update_one({"_id": "indexes"}, {"$set": news}, upsert=True)


def _create(database: MongoDatabase, name: str, models: list[IndexModel]) -> None:
    """Create indexes; one that was declared otherwise before is made anew."""
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
        for old, facts in database[name].index_information().items():
            if old == model.document["name"] or facts["key"] == keys:
                database[name].drop_index(old)
        database[name].create_indexes([model])


def _fingerprint(models: list[IndexModel]) -> str:
    specs = [[list(model.document["key"].items()), model.document] for model in models]
    return hashlib.sha256(orjson.dumps(specs, default=str)).hexdigest()
