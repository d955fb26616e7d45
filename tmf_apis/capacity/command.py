"""The command ``tmf capacity``, which prints the capacity report."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime

import click
from rich.console import Console
from rich.table import Table

from tmf_apis.capacity.records import CapacityQuery, CapacityRecord
from tmf_apis.capacity.reports import CapacityReporter, report_item, table_rows
from tmf_apis.settings import Settings
from tmf_apis.store.connection import MongoDatabase

_COLUMNS = (
    "category", "name", "full", "used", "reserved", "capacity", "a day", "exhausted in", "alarm",
)  # fmt: skip
_RIGHT_ALIGNED = frozenset(_COLUMNS) - {"category", "name", "alarm"}


def run(
    database: MongoDatabase, settings: Settings, tenant: str, query: CapacityQuery, *, as_json: bool
) -> None:
    """Print the utilisation of the network, the most urgent records first."""
    reporter = CapacityReporter(database, settings)
    records, count = reporter.find_records(tenant, query, datetime.now(UTC))
    if as_json:
        click.echo(json.dumps([report_item(record) for record in records], indent=1))
    else:
        _print_table(records, count)


def _print_table(records: Sequence[CapacityRecord], count: int) -> None:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in _COLUMNS:
        table.add_column(
            name, justify="right" if name in _RIGHT_ALIGNED else "left", overflow="fold"
        )
    for row in table_rows(list(records)):
        table.add_row(*row)
    console = Console(highlight=False)
    if console.is_terminal:
        console.print(table)
    else:
        Console(highlight=False, width=200).print(table)
    if count > len(records):
        click.echo(f"{count - len(records):,} more; --limit shows them")
    if not records:
        click.echo("no records: the inventory has no elements or pools that match")
