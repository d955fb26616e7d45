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

from tmf_apis.demo.gateway import DemoElement, run_gateway
from tmf_apis.demo.walkthrough import cancellation, cleanup, first_order, modification, outage
from tmf_apis.demo.walkthrough.context import WalkthroughContext, WalkthroughFailed
from tmf_apis.server import Server
from tmf_apis.settings import Settings

#: Longest wait for the server, in seconds.
START_TIMEOUT = 300.0


def run_steps(context: WalkthroughContext, *, exit_when_done: bool) -> None:
    """Tell it from the beginning to the end.

    Args:
        context: Where.
        exit_when_done: The gateway ends with the story.

    Raises:
        Unfinished: Something did not happen in time.
        HTTPError: The server does not answer, or not well.
    """
    first_order.show_offering(context)
    with context.listener as listener:
        hubs = first_order.subscribe(context)
        first, second = first_order.find_customers(context)
        first_order.show_dry_run(context, first)
        bought = first_order.buy(context, first)
        first_order.show_purchase(context, bought)
        modification.upgrade(context, bought)
        modification.fail_downgrade(context, bought)
        cancellation.order_and_cancel(context, second)
        modification.suspend_and_resume(context, bought)
        outage.cut_and_mend_cable(context, bought)
        modification.terminate(context, bought)
        context.start_step(
            "What the subscriber got", f"{len(listener.events)} events, listed above"
        )
        for hub in hubs:
            context.delete(hub)
    if exit_when_done:
        cleanup.withdraw_gateway(context)
    cleanup.show_links(context)


def run_walkthrough(
    settings: Settings, *, port: int, exit_when_done: bool, real: bool = True
) -> int:
    """Serve the demo operator and tell the story; return the exit status.

    Args:
        settings: The configuration.
        port: TCP port; 0 for a free one.
        exit_when_done: End after the story instead of serving on.
        real: Whether to try for a real gateway.

    Raises:
        CannotStart: The server cannot start.
    """
    console = Console()
    logging.basicConfig(level=logging.ERROR, format="%(levelname)s %(message)s", force=True)
    failed: list[str] = []
    with run_gateway(settings.data_dir, real=real) as element:
        here = replace(settings, auth="off", credentials_file=os.environ["TMF_CREDENTIALS_FILE"])
        server = Server(here, host="127.0.0.1", port=port, load_data=element.load_demo_data)
        thread = threading.Thread(
            target=_run_beside_server, args=(server, element, console, failed), kwargs={"leave": exit_when_done},
            daemon=True,
        )  # fmt: skip
        thread.start()
        status = server.run()
    return 1 if failed else status


def _run_beside_server(
    server: Server,
    element: DemoElement,
    console: Console,
    failures: list[str],
    *,
    exit_when_done: bool,
) -> None:
    started = time.monotonic()
    try:
        with console.status("Starting") as status:
            base = _wait_until_ready(server, status.update)
        console.print(f"Ready after {time.monotonic() - started:.1f} s at {base}", highlight=False)
        run_steps(WalkthroughContext(base, element, console), exit_when_done=exit_when_done)
    except (WalkthroughFailed, httpx.HTTPError) as error:
        failures.append(str(error))
        console.print(f"[red]The story stops here:[/red] {error}")
    took = time.monotonic() - started
    console.print(f"\nThat took {took:.1f} s.", highlight=False)
    if exit_when_done:
        os.kill(os.getpid(), signal.SIGTERM)
    else:
        console.print("Serving until you press Ctrl-C.")


def _wait_until_ready(server: Server, report_progress: Callable[[str], None]) -> str:
    """Wait for the server, and return its URL."""
    end = time.monotonic() + START_TIMEOUT
    while time.monotonic() < end:
        base = f"http://127.0.0.1:{server.port}"
        try:
            answer = httpx.get(f"{base}/health/ready", timeout=5).json()
        except (httpx.HTTPError, ValueError):
            answer = {"message": "the server is starting"}
        if answer.get("status") == "ready":
            return base
        report_progress(str(answer.get("message") or "the server is starting"))
        time.sleep(0.1)
    raise WalkthroughFailed("the server is not ready; see the logs in its data directory")
