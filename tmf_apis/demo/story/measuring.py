"""What really goes through a port, and what a port goes through while it is changed."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from adapters.lab.network import LabError
from tmf_apis.demo.story.agreement import MEGABIT
from tmf_apis.demo.story.stage import Stage

#: Pause between two looks at the element, in seconds.
_PAUSE = 0.005


def measure(stage: Stage, port: str) -> None:
    """Say what goes through a port towards the customer."""
    if not stage.element.gateway.head(port):
        down, up = stage.element.gateway.rates(port)
        why = "a simulated gateway carries no traffic" if stage.element.simulated else "no iperf3"
        limits = f"{down / MEGABIT:g}/{up / MEGABIT:g} Mbit/s"
        stage.say(f"not measured ({why}); the element says {limits}")
    elif (measured := stage.element.throughput(port)) is None:
        stage.say("measured by iperf3 through the port: nobody gets through")
    else:
        megabits = measured / MEGABIT
        stage.say(f"measured by iperf3 through the port: {megabits:.0f} Mbit/s downstream")


@contextmanager
def watched(stage: Stage, port: str) -> Iterator[None]:
    """Tell each change of a port's limits, as the element has them, while the block lasts."""
    end = threading.Event()
    watch = threading.Thread(target=_watch, args=(stage, port, end), daemon=True)
    watch.start()
    try:
        yield
    finally:
        end.set()
        watch.join()


def _watch(stage: Stage, port: str, end: threading.Event) -> None:
    before = None
    while not end.wait(_PAUSE):
        try:
            now = stage.element.gateway.rates(port)
        except LabError:
            return
        if now != before:
            before = now
            down, up = (one / MEGABIT for one in now)
            stage.say(f"element  {port} is at {down:g}/{up:g} Mbit/s")
