"""Orders a second, time of one order, and what it costs whom: from POST to ``completed``.

``python -m benchmarks.fulfilment``: a server with worker, Temporal and database of its own. One
order after another, many at once, one of 1,000 items, each on elements that answer at once
(``benchmarks.instant``), then one after another on real elements where the machine has them.
"""

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx

from adapters.lab import SnmpLab, lab_unavailable_reason
from adapters.lab.netconf import NetconfLab, netconf_unavailable_reason
from benchmarks.operator import (
    FINAL_STATES,
    ORDERS_PATH,
    OWN_PROCESSES,
    Operator,
    order_body,
    run_operator,
)

#: Most of our processor time an order may take, in milliseconds.
MAX_MILLISECONDS_PER_ORDER = 30.0
#: Longest wait for one order, and for all that are queued without one being done, in seconds.
TIMEOUT = 120.0
#: Longest pause between two lines about memory, in seconds.
MAX_REPORT_INTERVAL = 30.0
_POLL_INTERVAL = 0.005


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer orders")
    parser.add_argument("--single", type=int, help="orders one after another")
    parser.add_argument("--queued", type=int, help="orders at once")
    parser.add_argument("--items", type=int, help="items of the large order; 0: none")
    parser.add_argument("--real", type=int, help="orders one after another on each real element")
    parser.add_argument("--profile", default="", help="file for a profile of the worker (py-spy)")
    options = parser.parse_args()
    defaults = (20, 500, 1000, 10) if options.quick else (100, 10_000, 1000, 100)
    for name, value in zip(("single", "queued", "items", "real"), defaults, strict=True):
        if getattr(options, name) is None:
            setattr(options, name, value)
    with tempfile.TemporaryDirectory(prefix="tmf-bench-") as folder:
        measure_all(options, Path(folder))


def measure_all(options: argparse.Namespace, folder: Path) -> None:
    """Run every part on one server."""
    needed = options.single + options.queued + options.items + 1
    elements = max(4, min(20, needed // 100))
    with run_operator(folder) as operator:
        places = operator.add_instant_elements(elements, needed // elements + 20)
        offering = operator.create_offering()
        wait_for_order(
            operator, operator.post(ORDERS_PATH, order_body(offering, place=places[0]))["id"]
        )  # everything is warm
        print("\nOn elements that answer at once (adapter instant, in the worker's memory)")
        measure_sequential_orders(
            operator, [order_body(offering, place=places[n % elements]) for n in range(options.single)]
        )
        with WorkerProfile(operator, options.profile):
            measure_queued_orders(
                operator,
                [order_body(offering, place=places[n % elements]) for n in range(options.queued)],
            )
        if options.items:
            measure_large_order(operator, order_body(offering, items=options.items))
        if options.real:
            measure_real_elements(operator, offering, options.real)


class WorkerProfile:  # noqa: N801 - reads as a function
    """Profile the worker with py-spy meanwhile, where a file is named."""

    def __init__(self, operator: Operator, file: str) -> None:
        command = ["py-spy", "record", "-n", "-f", "raw", "-r", "200", "-t", "-o", file, "-p"]
        self._command = [*command, str(operator.pids["worker"])] if file else []

    def __enter__(self) -> None:
        self._process = subprocess.Popen(self._command) if self._command else None  # noqa: S603

    def __exit__(self, *_: object) -> None:
        if self._process:
            self._process.send_signal(signal.SIGINT)
            self._process.wait(60)


def wait_for_order(operator: Operator, id: str) -> dict[str, Any]:
    """Wait for the final state of an order and return the order."""
    end = time.monotonic() + TIMEOUT
    while time.monotonic() < end:
        order = operator.client.get(f"{operator.url}{ORDERS_PATH}/{id}").json()
        if order["state"] in FINAL_STATES:
            return order
        time.sleep(_POLL_INTERVAL)
    raise SystemExit(f"order {id} does not end")


def percentile_summary(seconds: Sequence[float]) -> str:
    """Return the middle and the worst of some times."""
    ordered = sorted(seconds)
    last = ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))]
    return f"p50 {1000 * statistics.median(ordered):.0f} ms, p99 {1000 * last:.0f} ms"


def time_order(operator: Operator, body: dict[str, Any]) -> float:
    """Place an order and return the seconds until it is completed."""
    started = time.perf_counter()
    order = wait_for_order(operator, operator.post(ORDERS_PATH, body)["id"])
    if order["state"] != "completed":
        raise SystemExit(f"an order is {order['state']}: {json.dumps(order)[:2000]}")
    return time.perf_counter() - started


def measure_sequential_orders(operator: Operator, bodies: Sequence[dict[str, Any]]) -> None:
    """Print how long one order takes while nothing else is done."""
    took = [time_order(operator, body) for body in bodies]
    if took:
        print(f"  one order, {len(took)} one after another: {percentile_summary(took)}", flush=True)


def cost_summary(before: dict[str, float], after: dict[str, float], orders: int) -> str:
    """Return the processor time of an order by process, and the share of it that is ours."""
    each = {name: 1000 * (after[name] - before[name]) / orders for name in before}
    ours = sum(each[name] for name in OWN_PROCESSES)
    parts = ", ".join(f"{name} {value:.1f}" for name, value in each.items())
    verdict = "ok" if ours < MAX_MILLISECONDS_PER_ORDER else "OVER"
    share = ours / sum(each.values())
    return f"{parts} ms; ours {ours:.1f} ms, {share:.0%} of all; bar {MAX_MILLISECONDS_PER_ORDER:g} ms {verdict}"


def measure_queued_orders(operator: Operator, bodies: Sequence[dict[str, Any]]) -> None:
    """Place many orders at once; print orders a second, processor time and memory over time."""
    if not bodies:
        return
    operator.wait_for_event_delivery()
    already, before, started = (
        operator.count_final_orders(),
        operator.processor_times(),
        time.perf_counter(),
    )
    print(f"  {len(bodies):,} orders at once")
    with ThreadPoolExecutor(1) as watcher:
        watching = watcher.submit(print_progress, operator, already + len(bodies), started)
        place_orders(operator, bodies)
        took = time.perf_counter() - started
        print(f"    all accepted after {took:.1f} s, {len(bodies) / took:.0f}/s", flush=True)
        done = watching.result()
    total = done - started
    operator.wait_for_event_delivery()
    print(f"    {len(bodies) / total:.1f} orders/s from the first POST to the last completed")
    print(
        f"    processor time an order: {cost_summary(before, operator.processor_times(), len(bodies))}",
        flush=True,
    )
    report_incomplete(operator, already, len(bodies))


def place_orders(operator: Operator, bodies: Sequence[dict[str, Any]]) -> None:
    """Post orders over some connections."""
    texts = [json.dumps(body).encode() for body in bodies]
    head = {"Content-Type": "application/json"}

    def some(part: Sequence[bytes]) -> None:
        with httpx.Client(timeout=60) as client:
            for text in part:
                response = client.post(f"{operator.url}{ORDERS_PATH}", content=text, headers=head)
                if response.status_code != 201:  # noqa: PLR2004
                    raise SystemExit(f"{response.status_code} {response.text}")

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(some, (texts[start::4] for start in range(4))))


def print_progress(operator: Operator, target_count: int, started: float) -> float:
    """Print memory over time until so many orders have ended; return when that was."""
    names = list(operator.pids)
    print(f"    {'s':>7} {'ended':>7} " + "".join(f"{name + ' MiB':>14}" for name in names))
    remaining = target_count - operator.count_final_orders()
    pause, reported_at = 1.0, 0.0
    last, since = -1, time.perf_counter()
    while True:
        now, count = time.perf_counter(), operator.count_final_orders()
        if count != last:
            last, since = count, now
        if now - reported_at >= pause or count >= target_count:
            reported_at, pause = now, min(1.3 * pause, MAX_REPORT_INTERVAL)
            sizes = operator.memory_sizes()
            cells = "".join(f"{sizes[name]:14.0f}" for name in names)
            print(f"    {now - started:7.1f} {remaining - target_count + count:7,} {cells}", flush=True)
        if count >= target_count:
            return now
        if now - since > TIMEOUT:
            raise SystemExit(f"no order ended for {TIMEOUT:g} s")
        time.sleep(0.25)


def report_incomplete(operator: Operator, earlier_count: int, count: int) -> None:
    """Say it where orders did not end well."""
    states = operator.database["ProductOrder"].aggregate(
        [{"$group": {"_id": "$body.state", "count": {"$sum": 1}}}]
    )
    counts = {group["_id"]: group["count"] for group in states}
    if counts.get("completed", 0) < earlier_count + count:
        print(f"    NOT ALL COMPLETED: {counts}")


def measure_large_order(operator: Operator, body: dict[str, Any]) -> None:
    """Print how long one order of many items takes, what it costs and how memory grows."""
    operator.wait_for_event_delivery()
    count = len(body["productOrderItem"])
    before, sizes, started = (
        operator.processor_times(),
        operator.memory_sizes(),
        time.perf_counter(),
    )
    id = operator.post(ORDERS_PATH, body)["id"]
    accepted = time.perf_counter() - started
    peak_sizes = sizes
    while True:
        document = operator.database["ProductOrder"].find_one({"id": id}, {"body.state": 1})
        peak_sizes = {name: max(value, operator.memory_sizes()[name]) for name, value in peak_sizes.items()}
        if document and document["body"]["state"] in FINAL_STATES:
            break
        if time.perf_counter() - started > 10 * TIMEOUT:
            raise SystemExit("the large order does not end")
        time.sleep(0.25)
    took = time.perf_counter() - started
    operator.wait_for_event_delivery()
    grown = ", ".join(f"{name} +{peak_sizes[name] - sizes[name]:.0f}" for name in sizes)
    print(f"  one order of {count:,} items: {document['body']['state']} after {took:.1f} s")
    print(f"    accepted after {accepted:.2f} s; memory at most {grown} MiB")
    print(
        f"    processor time an item: {cost_summary(before, operator.processor_times(), count)}",
        flush=True,
    )


def measure_real_elements(operator: Operator, offering: str, count: int) -> None:
    """Print how long one order takes on each real element that the machine can have."""
    for name, why, make in lab_elements():
        if why:
            print(f"\nNot on {name}: {why}")
            continue
        print(f"\nOn a real element, {name}")
        with make() as stand:
            ports = operator.add_element(stand.target, stand.credentials)
            free = [id for port, id in ports.items() if port.startswith("sub")]
            times: dict[str, list[float]] = {"add": [], "delete": []}
            for number in range(count):
                started = time.perf_counter()
                body = order_body(offering, port=free[number % len(free)])
                order = wait_for_order(operator, operator.post(ORDERS_PATH, body)["id"])
                times["add"].append(time.perf_counter() - started)
                if order["state"] != "completed":
                    raise SystemExit(f"an order is {order['state']}: {json.dumps(order)[:2000]}")
                product = order["productOrderItem"][0]["product"]["id"]
                times["delete"].append(time_order(operator, deletion_body(product)))
            for action, took in times.items():
                print(
                    f"  {action}, {count} one after another: {percentile_summary(took)}", flush=True
                )


def deletion_body(product: str) -> dict[str, Any]:
    """Return the order that ends a product."""
    item = {"@type": "ProductOrderItem", "id": "1", "action": "delete",
            "product": {"@type": "Product", "id": product}}  # fmt: skip
    return {"@type": "ProductOrder", "productOrderItem": [item]}


def lab_elements() -> list[tuple[str, str, Callable[[], Any]]]:
    """Return the kinds of real elements: name, why there is none here, what makes one."""
    return [
        ("snmpd (SNMP v3)", lab_unavailable_reason() or "", lambda: SnmpLab("gw-bench", ports=4)),
        (
            "netconfd (NETCONF)",
            netconf_unavailable_reason() or "",
            lambda: NetconfLab("nc-bench", ports=4),
        ),
    ]


if __name__ == "__main__":
    os.environ.setdefault("PYTHONWARNINGS", "ignore")
    sys.exit(main())
