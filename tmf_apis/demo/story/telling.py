"""The chapters in their order, beside the server that they are told of."""

import logging
import os
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import replace

import httpx
from rich.console import Console

from tmf_apis.demo.element import Element, running
from tmf_apis.demo.story import buying, cancelling, changing, ending, failing
from tmf_apis.demo.story.stage import Stage, Unfinished
from tmf_apis.serving import Server
from tmf_apis.settings import Settings

#: Longest wait for the server, in seconds.
START = 300.0


def story(stage: Stage, *, leave: bool) -> None:
    """Tell it from the beginning to the end.

    Args:
        stage: Where.
        leave: The gateway ends with the story.

    Raises:
        Unfinished: Something did not happen in time.
        HTTPError: The server does not answer, or not well.
    """
    buying.offering(stage)
    with stage.listener as listener:
        hubs = buying.subscribe(stage)
        first, second = buying.customers(stage)
        buying.rehearse(stage, first)
        bought = buying.buy(stage, first)
        buying.show(stage, bought)
        changing.upgrade(stage, bought)
        changing.break_down(stage, bought)
        cancelling.cancel(stage, second)
        changing.suspend(stage, bought)
        failing.fault(stage, bought)
        changing.terminate(stage, bought)
        stage.head("What the subscriber got", f"{len(listener.events)} events, listed above")
        for hub in hubs:
            stage.delete(hub)
    if leave:
        ending.withdraw(stage)
    ending.look_around(stage)


def tell(settings: Settings, *, port: int, leave: bool, real: bool = True) -> int:
    """Serve the demo operator and tell the story; return the exit status.

    Args:
        settings: The configuration.
        port: TCP port; 0 for a free one.
        leave: End after the story instead of serving on.
        real: Whether to try for a real gateway.

    Raises:
        CannotStart: The server cannot start.
    """
    console = Console()
    logging.basicConfig(level=logging.ERROR, format="%(levelname)s %(message)s", force=True)
    failed: list[str] = []
    with running(settings.data_dir, real=real) as element:
        here = replace(settings, auth="off", credentials_file=os.environ["TMF_CREDENTIALS_FILE"])
        server = Server(here, host="127.0.0.1", port=port, fill=element.fill)
        thread = threading.Thread(
            target=_narrate, args=(server, element, console, failed), kwargs={"leave": leave},
            daemon=True,
        )  # fmt: skip
        thread.start()
        status = server.run()
    return 1 if failed else status


def _narrate(
    server: Server, element: Element, console: Console, failed: list[str], *, leave: bool
) -> None:
    started = time.monotonic()
    try:
        with console.status("Starting") as status:
            base = _ready(server, status.update)
        console.print(f"Ready after {time.monotonic() - started:.1f} s at {base}", highlight=False)
        story(Stage(base, element, console), leave=leave)
    except (Unfinished, httpx.HTTPError) as error:
        failed.append(str(error))
        console.print(f"[red]The story stops here:[/red] {error}")
    took = time.monotonic() - started
    console.print(f"\nThat took {took:.1f} s.", highlight=False)
    if leave:
        os.kill(os.getpid(), signal.SIGTERM)
    else:
        console.print("Serving until you press Ctrl-C.")


def _ready(server: Server, tell: Callable[[str], None]) -> str:
    """Wait for the server, and return its URL."""
    end = time.monotonic() + START
    while time.monotonic() < end:
        base = f"http://127.0.0.1:{server.port}"
        try:
            answer = httpx.get(f"{base}/health/ready", timeout=5).json()
        except (httpx.HTTPError, ValueError):
            answer = {"message": "the server is starting"}
        if answer.get("status") == "ready":
            return base
        tell(str(answer.get("message") or "the server is starting"))
        time.sleep(0.1)
    raise Unfinished("the server is not ready; see the logs in its data directory")
