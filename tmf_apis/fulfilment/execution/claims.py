"""Exclusive claims of orders on products: only one order at a time works on a product."""

from collections.abc import Callable, Iterable
from contextlib import suppress

from pymongo.errors import DuplicateKeyError

from tmf_apis.fulfilment.values import OrderKey
from tmf_apis.serialization import from_document, to_document
from tmf_apis.store.connection import MongoDatabase, translate_errors

CLAIMS = "fulfilment_claims"


class Claims:
    """The collection of claims, with one document for each claimed product."""

    def __init__(self, database: MongoDatabase) -> None:
        self._claims = database[CLAIMS]

    def acquire(
        self, key: OrderKey, products: Iterable[str], is_finished: Callable[[OrderKey], bool]
    ) -> OrderKey | None:
        """Claim products for an order, in sorted order to avoid deadlocks; safe to repeat.

        Args:
            key: The order.
            products: Ids of the products.
            is_finished: Whether another order is finished, so that its claims are void.

        Returns:
            The order that holds one of the products; ``key`` is then recorded as waiting for it.
            None if all products are claimed.
        """
        for product in sorted(set(products)):
            if holder := self._acquire(key, f"{key.tenant}:{product}", is_finished):
                return holder
        return None

    def _acquire(
        self, key: OrderKey, id: str, is_finished: Callable[[OrderKey], bool]
    ) -> OrderKey | None:
        while True:
            with translate_errors(), suppress(DuplicateKeyError):
                self._claims.insert_one({"_id": id, "by": to_document(key), "waiting": []})
                return None
            with translate_errors():
                claim = self._claims.find_one({"_id": id})
            if claim is None:
                continue
            holder = from_document(OrderKey, claim["by"])
            if holder == key:
                return None
            change = (
                {"$set": {"by": to_document(key)}}
                if is_finished(holder)
                else {"$addToSet": {"waiting": to_document(key)}}
            )
            with translate_errors():
                result = self._claims.update_one({"_id": id, "by": claim["by"]}, change)
            if result.matched_count and "$addToSet" in change:
                return holder

    def enlist(self, key: OrderKey, holder: OrderKey, product: str) -> None:
        """Record that an order waits for a product.

        Args:
            key: The order that waits.
            holder: The order that goes first; it gets the claim if nobody has it yet.
            product: Id of the product.
        """
        id = f"{key.tenant}:{product}"
        claim = {"_id": id, "by": to_document(holder), "waiting": [to_document(key)]}
        add = {"$addToSet": {"waiting": to_document(key)}}
        while True:
            with translate_errors(), suppress(DuplicateKeyError):
                self._claims.insert_one(claim)
                return
            with translate_errors():
                if self._claims.update_one({"_id": id}, add).matched_count:
                    return

    def release_all(self, key: OrderKey) -> list[OrderKey]:
        """Delete all claims of an order; return the orders that wait for them."""
        with translate_errors():
            claims = list(self._claims.find({"by": to_document(key)}, {"_id": 1}))
        return self.release(key, [claim["_id"].partition(":")[2] for claim in claims])

    def release(self, key: OrderKey, products: Iterable[str]) -> list[OrderKey]:
        """Delete the claims of an order; return the orders that wait for them."""
        waiting: list[OrderKey] = []
        for product in sorted(set(products)):
            query = {"_id": f"{key.tenant}:{product}", "by": to_document(key)}
            with translate_errors():
                claim = self._claims.find_one_and_delete(query)
            waiting += [
                from_document(OrderKey, order) for order in (claim or {}).get("waiting", ())
            ]
        return [order for order in dict.fromkeys(waiting) if order != key]
