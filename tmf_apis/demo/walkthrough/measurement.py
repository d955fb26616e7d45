"""Measurement of the throughput of a port, and a monitor of its rate limits."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from adapters.lab.network import LabError
from tmf_apis.demo.walkthrough.consistency import MEGABIT
from tmf_apis.demo.walkthrough.context import WalkthroughContext

#: Interval at which the rate limits are read, in seconds.
_POLL_INTERVAL = 0.005


def show_throughput(context: WalkthroughContext, port: str) -> None:
    """Print the downstream throughput of a port, or its limits if it cannot be measured."""
    if not context.element.gateway.test_head(port):
        down, up = context.element.gateway.rate_limits(port)
        reason = (
            "a simulated gateway carries no traffic"
            if context.element.simulation_reason
            else "no iperf3"
        )
        limits = f"{down / MEGABIT:g}/{up / MEGABIT:g} Mbit/s"
        context.print_line(f"not measured ({reason}); the element reports {limits}")
    elif (measured := context.element.measure_throughput(port)) is None:
        context.print_line("measured by iperf3 through the port: no traffic")
    else:
        megabits = measured / MEGABIT
        context.print_line(f"measured by iperf3 through the port: {megabits:.0f} Mbit/s downstream")


@contextmanager
def watch_limits(context: WalkthroughContext, port: str) -> Iterator[None]:
    """Print each change of the rate limits of a port while the context is entered."""
    stop = threading.Event()
    monitor = threading.Thread(target=_poll_limits, args=(context, port, stop), daemon=True)
    monitor.start()
    try:
        yield
    finally:
        stop.set()
        monitor.join()


def _poll_limits(context: WalkthroughContext, port: str, stop: threading.Event) -> None:
    printed = None
    while not stop.wait(_POLL_INTERVAL):
        try:
            limits = context.element.gateway.rate_limits(port)
        except LabError:
            return
        if limits != printed:
            printed = limits
            down, up = (rate / MEGABIT for rate in limits)
            context.print_line(f"element  {port} is at {down:g}/{up:g} Mbit/s")
