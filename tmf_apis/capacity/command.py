"""``tmf capacity``: the report on the command line."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime

import click
from rich.console import Console
from rich.table import Table

from tmf_apis.capacity.figures import Figure, Wanted
from tmf_apis.capacity.reports import Reporting, rows, shown
from tmf_apis.settings import Settings
from tmf_apis.store.connection import Documents

_HEAD = (
    "category", "name", "full", "used", "reserved", "capacity", "a day", "exhausted in", "alarm",
)  # fmt: skip
_RIGHT = frozenset(_HEAD) - {"category", "name", "alarm"}


def run(
    database: Documents, settings: Settings, tenant: str, wanted: Wanted, *, as_json: bool
) -> None:
    """Print how full the network is, the most urgent first."""
    reporting = Reporting(database, settings)
    found, count = reporting.figures(tenant, wanted, datetime.now(UTC))
    if as_json:
        click.echo(json.dumps([shown(one) for one in found], indent=1))
    else:
        _print(found, count)


def _print(found: Sequence[Figure], count: int) -> None:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in _HEAD:
        table.add_column(name, justify="right" if name in _RIGHT else "left", overflow="fold")
    for row in rows(list(found)):
        table.add_row(*row)
    console = Console(highlight=False)
    if console.is_terminal:
        console.print(table)
    else:
        Console(highlight=False, width=200).print(table)
    if count > len(found):
        click.echo(f"{count - len(found):,} more; --limit shows them")
    if not found:
        click.echo("nothing is known yet: there are no elements or pools, or none of these")
