"""What really goes through a port, and what a port goes through while it is changed."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from adapters.lab.network import LabError
from tmf_apis.demo.walkthrough.consistency import MEGABIT
from tmf_apis.demo.walkthrough.context import WalkthroughContext

#: Pause between two looks at the element, in seconds.
_POLL_INTERVAL = 0.005


def show_throughput(context: WalkthroughContext, port: str) -> None:
    """Say what goes through a port towards the customer."""
    if not context.element.gateway.test_head(port):
        down, up = context.element.gateway.rate_limits(port)
        why = (
            "a simulated gateway carries no traffic"
            if context.element.simulation_reason
            else "no iperf3"
        )
        limits = f"{down / MEGABIT:g}/{up / MEGABIT:g} Mbit/s"
        context.print_line(f"not measured ({why}); the element says {limits}")
    elif (measured := context.element.measure_throughput(port)) is None:
        context.print_line("measured by iperf3 through the port: nobody gets through")
    else:
        megabits = measured / MEGABIT
        context.print_line(f"measured by iperf3 through the port: {megabits:.0f} Mbit/s downstream")


@contextmanager
def watch_limits(context: WalkthroughContext, port: str) -> Iterator[None]:
    """Tell each change of a port's limits, as the element has them, while the block lasts."""
    end = threading.Event()
    watch = threading.Thread(target=_poll_limits, args=(context, port, end), daemon=True)
    watch.start()
    try:
        yield
    finally:
        end.set()
        watch.join()


def _poll_limits(context: WalkthroughContext, port: str, end: threading.Event) -> None:
    before = None
    while not end.wait(_POLL_INTERVAL):
        try:
            now = context.element.gateway.rate_limits(port)
        except LabError:
            return
        if now != before:
            before = now
            down, up = (one / MEGABIT for one in now)
            context.print_line(f"element  {port} is at {down:g}/{up:g} Mbit/s")
