"""Repositories on a real database, for tests of queries and caches."""

from contextlib import contextmanager

from tmf_apis.engine import Engine
from tmf_apis.rest.pipeline.repository import RepositoryFactory
from tmf_apis.settings import Settings
from tmf_apis.store.connection import mongo_client


@contextmanager
def repository_factory(mongodb_uri, contracts, database_name):
    """Yield a repository factory and its database, which is dropped at the end.

    Args:
        mongodb_uri: URI of the database server.
        contracts: The contracts by number and version.
        database_name: Name of the database.
    """
    settings = Settings(mongodb_database=database_name)
    with mongo_client(settings, mongodb_uri) as client:
        database = client[database_name]
        engine = Engine(settings, list(contracts.values()), database)
        engine.prepare()
        yield RepositoryFactory(engine.writer, "test"), database
        client.drop_database(database)


def remove_documents(database):
    """Remove all documents of a database.

    Its collections and indexes stay: mongod keeps the files of dropped ones open for five minutes,
    and hundreds of new databases exceed its limit of open files.
    """
    for name in database.list_collection_names(filter={"name": {"$not": {"$regex": "^system"}}}):
        database[name].delete_many({})


@contextmanager
def profiled_operations(database):
    """Profile a database; yield a function that returns the profiled operations.

    The function takes a query over the documents of ``system.profile``.
    """
    database.command("profile", 2)
    not_profile = {"ns": {"$not": {"$regex": "profile$"}}}
    yield lambda **query: list(database["system.profile"].find({"$and": [not_profile, query]}))
    database.command("profile", 0)
    database["system.profile"].drop()
