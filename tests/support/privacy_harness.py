"""Engines on one database, and searches for values in its documents as they are stored."""

import bson

from tmf_apis.engine import Engine
from tmf_apis.rest.pipeline.repository import RepositoryFactory
from tmf_apis.settings import Settings

EMAIL = "zq.ada@example.net"
STREET = "zq Mill Lane"


class PrivacyHarness:
    """Creates engines with different settings on one database.

    Attributes:
        engine: The engine in use.
        database: Its database.
    """

    def __init__(self, contracts, database, folder):
        self.contracts = contracts
        self.database = database
        self.folder = folder
        self.restart()

    def restart(self, **settings):
        """Create an engine as another process with other settings would."""
        configuration = Settings(data_dir=self.folder, auth="off", **settings)
        self.engine = Engine(configuration, self.contracts, self.database)
        self.engine.prepare()
        return self.engine

    @property
    def repository(self):
        """A repository of the tenant "t"."""
        return RepositoryFactory(self.engine.writer, "test").for_tenant("t")

    def create_customer(self, id="c1", party="p1", name="zq Ada"):
        """Create a customer with an order and a product."""
        self.repository.create(
            "Customer",
            {
                "id": id,
                "name": name,
                "status": "Active",
                "engagedParty": {"@type": "PartyRef", "id": party, "name": name},
                "contactMedium": [{"@type": "EmailContactMedium", "emailAddress": EMAIL}],
            },
        )
        related = {"role": "customer", "partyOrPartyRole": {"id": party, "name": name}}
        place = {"role": "home", "place": {"id": "place-1", "streetName": STREET}}
        product = {
            "id": f"product-{id}",
            "relatedParty": [related],
            "place": [place],
            "status": "active",
        }
        self.repository.create("Product", product)
        order = {
            "id": f"order-{id}",
            "relatedParty": [related],
            "note": [{"text": f"call {name}"}],
            "productOrderItem": [{"id": "1", "action": "add", "product": {"place": [place]}}],
        }
        self.repository.create("ProductOrder", order)

    def end_order(self, id="c1"):
        """Cancel the order of a customer."""
        self.repository.change("ProductOrder", f"order-{id}", lambda o: {**o, "state": "cancelled"})

    def occurrences(self, text):
        """Return the collections in whose documents a text occurs, as it is stored."""
        return sorted(
            {
                name
                for name in self.database.list_collection_names()
                for document in self.database[name].find()
                if text.encode() in bson.encode(document)
            }
        )
