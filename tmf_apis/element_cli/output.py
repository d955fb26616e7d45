"""What an engineer sees: plans as differences, inventories as tables."""

import sys
from collections.abc import Iterable, Sequence
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from adapters.registry import InstalledAdapter
from adapters.values import Facts, Inventory, Observed, Plan, Step, Verdict
from tmf_apis.element_cli.transaction_store import TransactionRecord
from tmf_apis.element_cli.units import format_rate, format_setting

#: Columns of a table that goes into a file or another program.
PIPE_WIDTH = 200
_DURATION_UNITS = (("d", 86_400), ("h", 3600), ("min", 60))


def print_plan(plan: Plan) -> None:
    """Print what a plan changes, as a difference, with what it leaves around it."""
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
    """Print changes as lines of a difference."""
    for step in steps:
        name = step.attribute
        click.secho(f"- {name} = {format_setting(name, step.before)}", fg="red")
        click.secho(f"+ {name} = {format_setting(name, step.after)}", fg="green")


def print_verdict(verdict: Verdict) -> None:
    """Print whether an element is as asked."""
    if verdict.good:
        said = ", ".join(
            f"{name} = {format_setting(name, one)}" for name, one in verdict.expected.items()
        )
        click.secho(
            f"{verdict.element} is as asked: {said or 'nothing of it is there'}", fg="green"
        )
        return
    click.secho(f"{verdict.element} is not as asked:", fg="red")
    for name, wanted in verdict.expected.items():
        if (seen := verdict.observed.get(name)) != wanted:
            has = format_setting(name, seen) if name in verdict.observed else "not there"
            click.echo(f"  {name} is {has} instead of {format_setting(name, wanted)}")


def print_facts(facts: Facts) -> None:
    """Print what an element is."""
    rows = {
        "name": facts.name,
        "vendor": facts.vendor,
        "model": facts.model,
        "software": facts.software,
        "serial": facts.serial,
        "up for": _duration(facts.uptime),
        "started": f"{facts.boots} times" if facts.boots else "",
    }
    for name, value in rows.items():
        if value:
            click.echo(f"{name:9} {value}")


def print_inventory(inventory: Inventory) -> None:
    """Print what an element consists of."""
    print_facts(inventory.facts)
    head = ("port", "state", "speed", "service", "addresses", "hardware address")
    _print_table(head, [_port_row(port) for port in inventory.ports])
    if inventory.components:
        parts = [
            (one.name, one.kind, one.parent, one.model, one.serial, one.software)
            for one in inventory.components
        ]
        _print_table(("component", "kind", "in", "model", "serial", "software"), parts)
    if inventory.neighbours:
        far = [(one.port, one.system, one.remote_port, one.chassis) for one in inventory.neighbours]
        _print_table(("port", "neighbour", "its port", "its identity"), far)


def _port_row(port: Any) -> tuple[str, ...]:  # noqa: ANN401
    state = "off" if not port.enabled else "up" if port.up else "down"
    speed = format_rate(port.speed) if port.speed else ""
    return (port.name, state, speed, port.tag, " ".join(port.addresses), port.mac)


def print_services(services: Sequence[Observed]) -> None:
    """Print services as they are on an element."""
    names = list(dict.fromkeys(name for one in services for name in one.settings))
    rows = [
        (
            one.service_id or "(unknown)",
            one.port,
            "up" if one.up else "down",
            *(format_setting(name, one.settings.get(name)) for name in names),
        )
        for one in services
    ]
    _print_table(("service", "port", "state", *names), rows)


def print_transactions(records: Sequence[TransactionRecord]) -> None:
    """Print transactions."""
    rows = [
        (one.id, one.target.name, one.transaction.intent.port, one.transaction.intent.service_id,
         one.state, one.user)
        for one in records
    ]  # fmt: skip
    _print_table(("transaction", "element", "port", "service", "state", "by"), rows)


def print_adapters(adapters: Sequence[InstalledAdapter]) -> None:
    """Print the adapters that there are."""
    rows = [
        (one.name, ", ".join(one.capabilities), one.entry_point, one.problem) for one in adapters
    ]
    _print_table(("adapter", "can", "from", "problem"), rows)


def _print_table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in columns:
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(*row)
    wide = None if sys.stdout.isatty() else PIPE_WIDTH
    Console(highlight=False, markup=False, emoji=False, width=wide).print(table)


def _duration(seconds: float) -> str:
    for unit, size in _DURATION_UNITS:
        if seconds >= size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.0f} s"
