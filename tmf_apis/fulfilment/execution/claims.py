"""Who works on a product: orders for the same one take their turns."""

from collections.abc import Callable, Iterable
from contextlib import suppress

from pymongo.errors import DuplicateKeyError

from tmf_apis.fulfilment.values import OrderKey
from tmf_apis.serialization import from_document, to_document
from tmf_apis.store.connection import MongoDatabase, translate_errors

CLAIMS = "fulfilment_claims"


class Claims:
    """The collection of claims, one document a product that is being worked on."""

    def __init__(self, database: MongoDatabase) -> None:
        self._claims = database[CLAIMS]

    def acquire(
        self, key: OrderKey, products: Iterable[str], is_finished: Callable[[OrderKey], bool]
    ) -> OrderKey | None:
        """Take products for one order alone, in an order that is everybody's; safe to repeat.

        Args:
            key: Who wants them.
            products: Their ids.
            is_finished: Whether another order is finished, so that its claims are void.

        Returns:
            The order that has one of them; it will be told who waits. None: all are ours.
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
                held = self._claims.find_one({"_id": id})
            if held is None:
                continue
            holder = from_document(OrderKey, held["by"])
            if holder == key:
                return None
            change = (
                {"$set": {"by": to_document(key)}}
                if is_finished(holder)
                else {"$addToSet": {"waiting": to_document(key)}}
            )
            with translate_errors():
                done = self._claims.update_one({"_id": id, "by": held["by"]}, change)
            if done.matched_count and "$addToSet" in change:
                return holder

    def release(self, key: OrderKey, products: Iterable[str]) -> list[OrderKey]:
        """Give up the claims of an order; return the orders that wait for one of them."""
        waiting: list[OrderKey] = []
        for product in sorted(set(products)):
            mine = {"_id": f"{key.tenant}:{product}", "by": to_document(key)}
            with translate_errors():
                held = self._claims.find_one_and_delete(mine)
            waiting += [from_document(OrderKey, one) for one in (held or {}).get("waiting", ())]
        return [one for one in dict.fromkeys(waiting) if one != key]
