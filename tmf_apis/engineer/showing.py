"""What an engineer sees: plans as differences, inventories as tables."""

import sys
from collections.abc import Iterable, Sequence
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from adapters.registry import Installed
from adapters.values import Facts, Inventory, Observed, Plan, Step, Verdict
from tmf_apis.engineer.records import Record
from tmf_apis.engineer.units import rate, shown

#: Columns of a table that goes into a file or another program.
WIDE = 200
_SECONDS = (("d", 86_400), ("h", 3600), ("min", 60))


def difference(plan: Plan) -> None:
    """Print what a plan changes, as a difference, with what it leaves around it."""
    intent = plan.intent
    verb = "on" if intent.present else "off"
    click.echo(f"--- {plan.element} port {intent.port}, as it is")
    click.echo(f"+++ {plan.element} port {intent.port}, with service {intent.service_id} {verb} it")
    changed = {step.attribute for step in plan.steps}
    for name, value in plan.precondition.items():
        if name not in changed:
            click.echo(f"  {name} = {shown(name, value)}")
    steps(plan.steps)
    if not plan.steps:
        click.echo("nothing to change")


def steps(changes: Iterable[Step]) -> None:
    """Print changes as lines of a difference."""
    for step in changes:
        name = step.attribute
        click.secho(f"- {name} = {shown(name, step.before)}", fg="red")
        click.secho(f"+ {name} = {shown(name, step.after)}", fg="green")


def verdict(found: Verdict) -> None:
    """Print whether an element is as asked."""
    if found.good:
        said = ", ".join(f"{name} = {shown(name, one)}" for name, one in found.expected.items())
        click.secho(f"{found.element} is as asked: {said or 'nothing of it is there'}", fg="green")
        return
    click.secho(f"{found.element} is not as asked:", fg="red")
    for name, wanted in found.expected.items():
        if (seen := found.observed.get(name)) != wanted:
            has = shown(name, seen) if name in found.observed else "not there"
            click.echo(f"  {name} is {has} instead of {shown(name, wanted)}")


def facts(found: Facts) -> None:
    """Print what an element is."""
    rows = {
        "name": found.name,
        "vendor": found.vendor,
        "model": found.model,
        "software": found.software,
        "serial": found.serial,
        "up for": _duration(found.uptime),
        "started": f"{found.boots} times" if found.boots else "",
    }
    for name, value in rows.items():
        if value:
            click.echo(f"{name:9} {value}")


def inventory(found: Inventory) -> None:
    """Print what an element consists of."""
    facts(found.facts)
    head = ("port", "state", "speed", "service", "addresses", "hardware address")
    _table(head, [_port(port) for port in found.ports])
    if found.components:
        parts = [
            (one.name, one.kind, one.parent, one.model, one.serial, one.software)
            for one in found.components
        ]
        _table(("component", "kind", "in", "model", "serial", "software"), parts)
    if found.neighbours:
        far = [(one.port, one.system, one.remote_port, one.chassis) for one in found.neighbours]
        _table(("port", "neighbour", "its port", "its identity"), far)


def _port(port: Any) -> tuple[str, ...]:  # noqa: ANN401
    state = "off" if not port.enabled else "up" if port.up else "down"
    speed = rate(port.speed) if port.speed else ""
    return (port.name, state, speed, port.tag, " ".join(port.addresses), port.mac)


def services(found: Sequence[Observed]) -> None:
    """Print services as they are on an element."""
    names = list(dict.fromkeys(name for one in found for name in one.settings))
    rows = [
        (
            one.service_id or "(unknown)",
            one.port,
            "up" if one.up else "down",
            *(shown(name, one.settings.get(name)) for name in names),
        )
        for one in found
    ]
    _table(("service", "port", "state", *names), rows)


def records(found: Sequence[Record]) -> None:
    """Print transactions."""
    rows = [
        (one.id, one.target.name, one.transaction.intent.port, one.transaction.intent.service_id,
         one.state, one.who)
        for one in found
    ]  # fmt: skip
    _table(("transaction", "element", "port", "service", "state", "by"), rows)


def adapters(found: Sequence[Installed]) -> None:
    """Print the adapters that there are."""
    rows = [(one.name, ", ".join(one.capabilities), one.place, one.problem) for one in found]
    _table(("adapter", "can", "from", "problem"), rows)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in head:
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(*row)
    wide = None if sys.stdout.isatty() else WIDE
    Console(highlight=False, markup=False, emoji=False, width=wide).print(table)


def _duration(seconds: float) -> str:
    for unit, size in _SECONDS:
        if seconds >= size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.0f} s"
