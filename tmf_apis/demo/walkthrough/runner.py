"""Runner of the walkthrough: the server, and the steps in a thread beside it."""

import logging
import os
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import httpx
from rich.console import Console

from tmf_apis.demo.gateway import DemoElement, run_gateway
from tmf_apis.demo.walkthrough import cancellation, cleanup, first_order, modification, outage
from tmf_apis.demo.walkthrough.context import WalkthroughContext, WalkthroughFailed
from tmf_apis.server import Server
from tmf_apis.settings import Settings

#: Maximum time until the server is ready, in seconds.
START_TIMEOUT = 300.0


def run_steps(context: WalkthroughContext, *, exit_when_done: bool) -> None:
    """Run all steps.

    Args:
        context: The context of the steps.
        exit_when_done: Withdraw the gateway at the end because it will be switched off.

    Raises:
        WalkthroughFailed: An expected outcome did not occur in time.
        HTTPError: The server does not answer, or answers with an error.
    """
    first_order.show_offering(context)
    with context.listener as listener:
        hubs = first_order.subscribe(context)
        first, second = first_order.find_customers(context)
        first_order.show_dry_run(context, first)
        purchase = first_order.buy(context, first)
        first_order.show_purchase(context, purchase)
        modification.upgrade(context, purchase)
        modification.fail_downgrade(context, purchase)
        cancellation.order_and_cancel(context, second)
        modification.suspend_and_resume(context, purchase)
        outage.cut_and_repair_cable(context, purchase)
        modification.terminate(context, purchase)
        context.start_step(
            "Events that the subscriber received", f"{len(listener.events)} events, shown above"
        )
        for hub in hubs:
            context.delete(hub)
    if exit_when_done:
        cleanup.withdraw_gateway(context)
    cleanup.show_links(context)


def run_walkthrough(
    settings: Settings, *, port: int, exit_when_done: bool, real: bool = True
) -> int:
    """Serve the demo operator and run the walkthrough; return the exit status.

    Args:
        settings: The configuration.
        port: TCP port; 0 for a free one.
        exit_when_done: Exit after the walkthrough instead of serving until Ctrl-C.
        real: Run a real gateway if possible.

    Raises:
        CannotStart: The server cannot start.
    """
    console = Console()
    logging.basicConfig(level=logging.ERROR, format="%(levelname)s %(message)s", force=True)
    failures: list[str] = []
    with run_gateway(settings.data_dir, real=real) as element:
        demo_settings = replace(
            settings,
            auth="off",
            tls_cert="",
            tls_key="",
            tls_client_ca="",
            credentials_file=os.environ["TMF_CREDENTIALS_FILE"],
        )
        server = Server(
            demo_settings, host="127.0.0.1", port=port, load_data=element.load_demo_data
        )
        walkthrough = partial(
            _run_beside_server, server, element, console, failures, exit_when_done=exit_when_done
        )
        thread = threading.Thread(target=walkthrough, daemon=True)
        thread.start()
        status = server.run()
    return 1 if failures else status


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
        console.print(f"[red]The walkthrough failed:[/red] {error}")
    duration = time.monotonic() - started
    console.print(f"\nThis took {duration:.1f} s.", highlight=False)
    if exit_when_done:
        os.kill(os.getpid(), signal.SIGTERM)
    else:
        console.print("Serving until you press Ctrl-C.")


def _wait_until_ready(server: Server, report_progress: Callable[[str], None]) -> str:
    """Wait until the server is ready and return its URL."""
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
