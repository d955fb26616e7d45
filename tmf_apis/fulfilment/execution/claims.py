"""Who works on a product: orders for the same one take their turns."""

from collections.abc import Callable, Iterable
from contextlib import suppress

from pymongo.errors import DuplicateKeyError

from tmf_apis.fulfilment.reservation.kept import document, value
from tmf_apis.fulfilment.values import OrderKey
from tmf_apis.store.connection import Documents, translated

CLAIMS = "fulfilment_claims"


class Claims:
    """The collection of claims, one document a product that is being worked on."""

    def __init__(self, database: Documents) -> None:
        self._claims = database[CLAIMS]

    def take(
        self, key: OrderKey, products: Iterable[str], over: Callable[[OrderKey], bool]
    ) -> OrderKey | None:
        """Take products for one order alone, in an order that is everybody's; safe to repeat.

        Args:
            key: Who wants them.
            products: Their ids.
            over: Whether another order is finished, so that its claims are void.

        Returns:
            The order that has one of them; it will be told who waits. None: all are ours.
        """
        for product in sorted(set(products)):
            if holder := self._take(key, f"{key.tenant}:{product}", over):
                return holder
        return None

    def _take(self, key: OrderKey, id: str, over: Callable[[OrderKey], bool]) -> OrderKey | None:
        while True:
            with translated(), suppress(DuplicateKeyError):
                self._claims.insert_one({"_id": id, "by": document(key), "waiting": []})
                return None
            with translated():
                held = self._claims.find_one({"_id": id})
            if held is None:
                continue
            holder = value(OrderKey, held["by"])
            if holder == key:
                return None
            change = (
                {"$set": {"by": document(key)}}
                if over(holder)
                else {"$addToSet": {"waiting": document(key)}}
            )
            with translated():
                done = self._claims.update_one({"_id": id, "by": held["by"]}, change)
            if done.matched_count and "$addToSet" in change:
                return holder

    def free(self, key: OrderKey, products: Iterable[str]) -> list[OrderKey]:
        """Give up the claims of an order; return the orders that wait for one of them."""
        waiting: list[OrderKey] = []
        for product in sorted(set(products)):
            mine = {"_id": f"{key.tenant}:{product}", "by": document(key)}
            with translated():
                held = self._claims.find_one_and_delete(mine)
            waiting += [value(OrderKey, one) for one in (held or {}).get("waiting", ())]
        return [one for one in dict.fromkeys(waiting) if one != key]
