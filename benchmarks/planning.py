"""Planning on one core, without database and network: orders per second.

``python -m benchmarks.planning`` plans the tasks of orders. It measures processor time, so other
load on the machine has little effect. It prints the best round and the median.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from typing import Any

from tmf_apis.fulfilment.design.catalog import Catalog, InstalledProduct, InstalledService
from tmf_apis.fulfilment.design.offers import OfferCache
from tmf_apis.fulfilment.design.order_planner import order_design
from tmf_apis.fulfilment.values import OrderDesign, OrderKey

#: Minimum rate of orders of one access each, in orders per second.
MIN_ORDERS_PER_SECOND = 5000
Order = dict[str, Any]


def sample_catalogue() -> Catalog:
    """Return a catalogue with one access offering, and ten of its products in operation."""
    values: dict[str, list[Any]] = {
        "serviceType": ["broadband"],
        "downstreamSpeed": [100, 1000],
        "upstreamSpeed": [50],
    }
    characteristics = [
        {
            "name": name,
            "characteristicValueSpecification": [{"value": choice} for choice in choices],
        }
        for name, choices in values.items()
    ]
    specification = {"id": "access", "productSpecCharacteristic": characteristics}
    offering = {"id": "fibre", "name": "Fibre", "productSpecification": {"id": "access"}}
    bundle = {"id": "office", "bundledProductOffering": [{"id": "fibre"}] * 3}
    rates = {"downstream": 10**8, "upstream": 5 * 10**7}
    running = {
        f"p-{number}": InstalledProduct((InstalledService(f"p-{number}", "", rates),), "fibre")
        for number in range(10)
    }
    return Catalog(
        {"fibre": offering, "office": bundle}, {"access": specification}, installed_base=running
    )


def order_item(number: int, action: str = "add", offering: str = "fibre", **product: Any) -> Order:
    """Return an order item as a client sends it."""
    characteristics = [{"name": "downstreamSpeed", "value": 1000}]
    return {
        "id": str(number),
        "action": action,
        "productOffering": {"id": offering},
        "product": {
            "place": [{"place": {"id": "site"}}],
            "productCharacteristic": characteristics,
            **product,
        },
    }


ORDERS: dict[str, Order] = {
    "one access": {"productOrderItem": [order_item(1)]},
    "an upgrade": {"productOrderItem": [order_item(1, "modify", id="p-1", place=[])]},
    "an end": {"productOrderItem": [order_item(1, "delete", id="p-2")]},
    "a bundle of three": {"productOrderItem": [order_item(1, offering="office")]},
    "1,000 items": {"productOrderItem": [order_item(number) for number in range(1000)]},
}


def measure_rate(design: Callable[[int], OrderDesign], seconds: float) -> float:
    """Return the number of designs per second of processor time."""
    number, started = 0, time.process_time()
    while (used := time.process_time() - started) < seconds:
        for _ in range(20):
            design(number)
            number += 1
    return number / used


def main() -> None:
    """Print the orders per second of each kind of order."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="number of rounds")
    parser.add_argument("--seconds", type=float, default=0.5, help="duration of a round")
    options = parser.parse_args()
    catalog, offers = sample_catalogue(), OfferCache()
    print(f"{'planning alone':24}{'orders/s':>12}{'median':>12}{'tasks':>8}")
    best: dict[str, float] = {}
    for name, order in ORDERS.items():
        order_copy = json.loads(json.dumps(order))

        def design(number: int, order: Order = order_copy) -> OrderDesign:
            return order_design(OrderKey("default", f"o-{number}"), order, catalog, offers)

        tasks, rejections = len(design(0).tasks), design(0).rejections
        if rejections:
            raise SystemExit(f"{name}: {rejections}")
        rates = [measure_rate(design, options.seconds) for _ in range(options.rounds)]
        best[name] = max(rates)
        print(f"{name:24}{best[name]:>12,.0f}{statistics.median(rates):>12,.0f}{tasks:>8}")
    if best["one access"] < MIN_ORDERS_PER_SECOND:
        raise SystemExit(f"one access: under {MIN_ORDERS_PER_SECOND:,} orders/s")


if __name__ == "__main__":
    main()
