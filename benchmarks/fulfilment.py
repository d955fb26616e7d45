"""Orders per second, duration of an order and its processor time, from POST to ``completed``.

``python -m benchmarks.fulfilment`` starts a server with its own worker, Temporal and database. It
measures orders one after another, many orders at once, and an order of 1,000 items on elements that
answer immediately (``benchmarks.instant``). Then it measures orders one after another on real
elements, if the machine supports them.
"""

import argparse
import json
import os
import signal
import statistics
import subprocess
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

#: Maximum processor time of server and worker for an order, in milliseconds.
MAX_MILLISECONDS_PER_ORDER = 30.0
#: Maximum time to wait for an order, or for the next one of the queued orders, in seconds.
TIMEOUT = 120.0
#: Longest interval between two lines of the progress, in seconds.
MAX_REPORT_INTERVAL = 30.0
_POLL_INTERVAL = 0.005


def main() -> None:
    """Run the benchmark and print the results."""
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
    """Run all measurements on one server."""
    needed = options.single + options.queued + options.items + 1
    elements = max(4, min(20, needed // 100))
    with run_operator(folder) as operator:
        places = operator.add_instant_elements(elements, needed // elements + 20)
        offering = operator.create_offering()
        wait_for_order(
            operator, operator.post(ORDERS_PATH, order_body(offering, place=places[0]))["id"]
        )  # warm-up
        print("\nOn elements that answer at once (adapter instant, in the worker's memory)")
        measure_sequential_orders(
            operator,
            [order_body(offering, place=places[n % elements]) for n in range(options.single)],
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


class WorkerProfile:
    """Context manager that profiles the worker with py-spy, if a file is given."""

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
    """Wait until an order has a final state and return the order."""
    end = time.monotonic() + TIMEOUT
    while time.monotonic() < end:
        order: dict[str, Any] = operator.client.get(f"{operator.url}{ORDERS_PATH}/{id}").json()
        if order["state"] in FINAL_STATES:
            return order
        time.sleep(_POLL_INTERVAL)
    raise SystemExit(f"order {id} does not end")


def percentile_summary(seconds: Sequence[float]) -> str:
    """Return median and 99th percentile of durations, for people."""
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
    """Print the durations of orders that are placed one after another."""
    durations = [time_order(operator, body) for body in bodies]
    if durations:
        summary = percentile_summary(durations)
        print(f"  one order, {len(durations)} one after another: {summary}", flush=True)


def cost_summary(before: dict[str, float], after: dict[str, float], orders: int) -> str:
    """Return the processor time of an order by process, and the share of server and worker."""
    each = {name: 1000 * (after[name] - before[name]) / orders for name in before}
    ours = sum(each[name] for name in OWN_PROCESSES)
    parts = ", ".join(f"{name} {value:.1f}" for name, value in each.items())
    verdict = "ok" if ours < MAX_MILLISECONDS_PER_ORDER else "OVER"
    share = ours / sum(each.values())
    return (
        f"{parts} ms; ours {ours:.1f} ms, {share:.0%} of all; "
        f"limit {MAX_MILLISECONDS_PER_ORDER:g} ms {verdict}"
    )


def measure_queued_orders(operator: Operator, bodies: Sequence[dict[str, Any]]) -> None:
    """Place many orders at once; print orders per second, processor time and memory over time."""
    if not bodies:
        return
    operator.wait_for_event_delivery()
    earlier_count, times_before = operator.count_final_orders(), operator.processor_times()
    started = time.perf_counter()
    print(f"  {len(bodies):,} orders at once")
    with ThreadPoolExecutor(1) as watcher:
        watching = watcher.submit(print_progress, operator, earlier_count + len(bodies), started)
        place_orders(operator, bodies)
        duration = time.perf_counter() - started
        rate = len(bodies) / duration
        print(f"    all accepted after {duration:.1f} s, {rate:.0f}/s", flush=True)
        finished = watching.result()
    total = finished - started
    operator.wait_for_event_delivery()
    print(f"    {len(bodies) / total:.1f} orders/s from the first POST to the last completed")
    cost = cost_summary(times_before, operator.processor_times(), len(bodies))
    print(f"    processor time per order: {cost}", flush=True)
    report_incomplete(operator, earlier_count, len(bodies))


def place_orders(operator: Operator, bodies: Sequence[dict[str, Any]]) -> None:
    """Send the orders over four connections."""
    texts = [json.dumps(body).encode() for body in bodies]
    head = {"Content-Type": "application/json"}

    def send(part: Sequence[bytes]) -> None:
        with httpx.Client(timeout=60) as client:
            for text in part:
                response = client.post(f"{operator.url}{ORDERS_PATH}", content=text, headers=head)
                if response.status_code != 201:  # noqa: PLR2004
                    raise SystemExit(f"{response.status_code} {response.text}")

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(send, (texts[start::4] for start in range(4))))


def print_progress(operator: Operator, target_count: int, started: float) -> float:
    """Print memory over time until a number of orders has ended; return the time of the end."""
    names = list(operator.pids)
    print(f"    {'s':>7} {'ended':>7} " + "".join(f"{name + ' MiB':>14}" for name in names))
    remaining = target_count - operator.count_final_orders()
    pause, reported_at = 1.0, 0.0
    last_count, last_change = -1, time.perf_counter()
    while True:
        now, count = time.perf_counter(), operator.count_final_orders()
        if count != last_count:
            last_count, last_change = count, now
        if now - reported_at >= pause or count >= target_count:
            reported_at, pause = now, min(1.3 * pause, MAX_REPORT_INTERVAL)
            sizes = operator.memory_sizes()
            cells = "".join(f"{sizes[name]:14.0f}" for name in names)
            print(
                f"    {now - started:7.1f} {remaining - target_count + count:7,} {cells}",
                flush=True,
            )
        if count >= target_count:
            return now
        if now - last_change > TIMEOUT:
            raise SystemExit(f"no order ended for {TIMEOUT:g} s")
        time.sleep(0.25)


def report_incomplete(operator: Operator, earlier_count: int, count: int) -> None:
    """Print the states of orders if not all of them are completed."""
    states = operator.database["ProductOrder"].aggregate(
        [{"$group": {"_id": "$body.state", "count": {"$sum": 1}}}]
    )
    counts = {group["_id"]: group["count"] for group in states}
    if counts.get("completed", 0) < earlier_count + count:
        print(f"    NOT ALL COMPLETED: {counts}")


def measure_large_order(operator: Operator, body: dict[str, Any]) -> None:
    """Print duration, processor time and memory of an order with many items."""
    operator.wait_for_event_delivery()
    count = len(body["productOrderItem"])
    times_before, sizes = operator.processor_times(), operator.memory_sizes()
    started = time.perf_counter()
    id = operator.post(ORDERS_PATH, body)["id"]
    accepted = time.perf_counter() - started
    peak_sizes = sizes
    while True:
        document = operator.database["ProductOrder"].find_one({"id": id}, {"body.state": 1})
        peak_sizes = {
            name: max(value, operator.memory_sizes()[name]) for name, value in peak_sizes.items()
        }
        if document and document["body"]["state"] in FINAL_STATES:
            break
        if time.perf_counter() - started > 10 * TIMEOUT:
            raise SystemExit("the large order does not end")
        time.sleep(0.25)
    duration = time.perf_counter() - started
    operator.wait_for_event_delivery()
    growth = ", ".join(f"{name} +{peak_sizes[name] - sizes[name]:.0f}" for name in sizes)
    print(f"  one order of {count:,} items: {document['body']['state']} after {duration:.1f} s")
    print(f"    accepted after {accepted:.2f} s; peak memory {growth} MiB")
    cost = cost_summary(times_before, operator.processor_times(), count)
    print(f"    processor time per item: {cost}", flush=True)


def measure_real_elements(operator: Operator, offering: str, count: int) -> None:
    """Print the durations of orders on each kind of real element that the machine supports."""
    for name, unavailable_reason, make_lab in lab_elements():
        if unavailable_reason:
            print(f"\nNot on {name}: {unavailable_reason}")
            continue
        print(f"\nOn a real element, {name}")
        with make_lab() as lab:
            ports = operator.add_element(lab.target, lab.credentials)
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
            for action, durations in times.items():
                summary = percentile_summary(durations)
                print(f"  {action}, {count} one after another: {summary}", flush=True)


def deletion_body(product: str) -> dict[str, Any]:
    """Return the body of an order that terminates a product."""
    item = {"@type": "ProductOrderItem", "id": "1", "action": "delete",
            "product": {"@type": "Product", "id": product}}  # fmt: skip
    return {"@type": "ProductOrder", "productOrderItem": [item]}


def lab_elements() -> list[tuple[str, str, Callable[[], Any]]]:
    """Return name, reason for being unavailable (empty: available) and factory of the labs."""
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
    main()
