"""The output of the commands: plans as differences, inventories as tables."""

import sys
from collections.abc import Iterable, Sequence

import click
from rich.console import Console
from rich.table import Table

from adapters.registry import InstalledAdapter
from adapters.values import Facts, Inventory, Observed, Plan, Port, Step, Verdict
from tmf_apis.element_cli.transaction_store import TransactionRecord
from tmf_apis.element_cli.units import format_rate, format_setting

#: Width of tables that are not printed to a terminal, in characters.
PIPE_WIDTH = 200
_DURATION_UNITS = (("d", 86_400), ("h", 3600), ("min", 60))


def print_plan(plan: Plan) -> None:
    """Print the changes of a plan as a difference, with the unchanged attributes as context."""
    intent = plan.intent
    verb = "on" if intent.present else "off"
    click.echo(f"--- {plan.element} port {intent.port}, as it is")
    click.echo(f"+++ {plan.element} port {intent.port}, with service {intent.service_id} {verb} it")
    changed = {step.attribute for step in plan.steps}
    for name, value in plan.precondition.items():
        if name not in changed:
            click.echo(f"  {name} = {format_setting(name, value)}")
    print_steps(plan.steps)
    if not plan.steps:
        click.echo("nothing to change")


def print_steps(steps: Iterable[Step]) -> None:
    """Print the steps as lines of a difference."""
    for step in steps:
        name = step.attribute
        click.secho(f"- {name} = {format_setting(name, step.before)}", fg="red")
        click.secho(f"+ {name} = {format_setting(name, step.after)}", fg="green")


def print_verdict(verdict: Verdict) -> None:
    """Print whether an element has the expected state, with the differences."""
    if verdict.good:
        settings = ", ".join(
            f"{name} = {format_setting(name, value)}" for name, value in verdict.expected.items()
        )
        click.secho(f"{verdict.element} is as expected: {settings or 'no service'}", fg="green")
        return
    click.secho(f"{verdict.element} is not as expected:", fg="red")
    for name, expected in verdict.expected.items():
        if (observed := verdict.observed.get(name)) != expected:
            current = format_setting(name, observed) if name in verdict.observed else "missing"
            click.echo(f"  {name} is {current} instead of {format_setting(name, expected)}")


def print_facts(facts: Facts) -> None:
    """Print the facts of an element."""
    rows = {
        "name": facts.name,
        "vendor": facts.vendor,
        "model": facts.model,
        "software": facts.software,
        "serial": facts.serial,
        "uptime": _duration(facts.uptime),
        "started": f"{facts.boots} times" if facts.boots else "",
    }
    for name, value in rows.items():
        if value:
            click.echo(f"{name:9} {value}")


def print_inventory(inventory: Inventory) -> None:
    """Print the facts, ports, components and neighbours of an element."""
    print_facts(inventory.facts)
    columns = ("port", "state", "speed", "service", "addresses", "hardware address")
    _print_table(columns, [_port_row(port) for port in inventory.ports])
    if inventory.components:
        rows = [
            (part.name, part.kind, part.parent, part.model, part.serial, part.software)
            for part in inventory.components
        ]
        _print_table(("component", "kind", "in", "model", "serial", "software"), rows)
    if inventory.neighbours:
        links = [
            (link.port, link.system, link.remote_port, link.chassis)
            for link in inventory.neighbours
        ]
        _print_table(("port", "neighbour", "its port", "its identity"), links)


def _port_row(port: Port) -> tuple[str, ...]:
    state = "off" if not port.enabled else "up" if port.up else "down"
    speed = format_rate(port.speed) if port.speed else ""
    return (port.name, state, speed, port.tag, " ".join(port.addresses), port.mac)


def print_services(services: Sequence[Observed]) -> None:
    """Print the services of an element."""
    names = list(dict.fromkeys(name for service in services for name in service.settings))
    rows = [
        (
            service.service_id or "(unknown)",
            service.port,
            "up" if service.up else "down",
            *(format_setting(name, service.settings.get(name)) for name in names),
        )
        for service in services
    ]
    _print_table(("service", "port", "state", *names), rows)


def print_transactions(records: Sequence[TransactionRecord]) -> None:
    """Print the recorded transactions."""
    rows = [
        (record.id, record.target.name, record.transaction.intent.port,
         record.transaction.intent.service_id, record.state, record.user)
        for record in records
    ]  # fmt: skip
    _print_table(("transaction", "element", "port", "service", "state", "user"), rows)


def print_adapters(adapters: Sequence[InstalledAdapter]) -> None:
    """Print the installed adapters."""
    rows = [
        (adapter.name, ", ".join(adapter.capabilities), adapter.entry_point, adapter.problem)
        for adapter in adapters
    ]
    _print_table(("adapter", "capabilities", "class", "problem"), rows)


def _print_table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in columns:
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(*row)
    width = None if sys.stdout.isatty() else PIPE_WIDTH
    Console(highlight=False, markup=False, emoji=False, width=width).print(table)


def _duration(seconds: float) -> str:
    for unit, size in _DURATION_UNITS:
        if seconds >= size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.0f} s"
