"""``tmf discover`` and ``tmf audit``: the network looked at from the command line."""

import asyncio
import sys
import uuid
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import click
import orjson
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from adapters.credentials import Credentials
from tmf_apis.element_access.connections import Connections
from tmf_apis.element_access.element_leases import ElementLeases
from tmf_apis.network_operations.targets import MAX_ADDRESSES, parse_targets
from tmf_apis.reconciliation.audit_tasks import audit_attributes, difference_items
from tmf_apis.reconciliation.auditor import Auditor, AuditResult
from tmf_apis.reconciliation.auditor import select_elements as elements_called
from tmf_apis.reconciliation.discovery import (
    Candidate,
    Discovery,
    DiscoveryResult,
    known_candidates,
)
from tmf_apis.reconciliation.remedies import OUTCOME_DONE, RemedyExecutor, RemedyOutcome
from tmf_apis.rest.pipeline.policy import Repository, Resource
from tmf_apis.store.connection import MongoDatabase

#: Outcomes that make the exit status 1.
FAILED_OUTCOMES = ("unreachable", "refused", "inDoubt")
_LINE_MEMBERS = {"address", "adapter", "credentials", "options", "place"}


def discover(  # noqa: PLR0913 - the options of the command
    repository: Repository,
    credentials_file: str,
    targets: Iterable[str],
    *,
    adapter: str,
    credentials: tuple[str, ...],
    options: tuple[str, ...],
    place: str,
    concurrency: int,
) -> int:
    """Look at targets and write them into the inventory; return the exit status.

    Args:
        repository: Whose inventory.
        credentials_file: The file of credentials.
        targets: Addresses, ranges, blocks and files of such.
        adapter: Adapter of elements that the inventory does not know, with the following too.
        credentials: Names of credentials, tried in this order.
        options: Options of the adapter as NAME=VALUE.
        place: Id of the place where they are.
        concurrency: Elements that are read at once.
    """
    usual = Candidate(
        next(iter(parse_targets(["localhost"]))),
        adapter,
        credentials,
        _parse_options(options),
        {"@type": "PlaceRef", "id": place} if place else None,
    )
    candidates = [one for target in targets for one in _parse_candidates(target, usual)]
    candidates = candidates or known_candidates(repository)
    unique = list({one.target.address: one for one in candidates}.values())
    if len(unique) > MAX_ADDRESSES:
        raise click.ClickException(f"these are {len(unique)} addresses; at most {MAX_ADDRESSES}")
    console = Console(stderr=True)
    found = asyncio.run(
        _run_discovery(repository, Credentials(credentials_file), unique, console, concurrency)
    )
    _print_summary(found)
    return 1 if any(found.count(one) for one in FAILED_OUTCOMES) else 0


async def _run_discovery(
    repository: Repository,
    credentials: Credentials,
    candidates: list[Candidate],
    console: Console,
    concurrency: int,
) -> DiscoveryResult:
    with _progress_bar(console) as bar:
        shown = bar.add_task("addresses", total=len(candidates))
        return await Discovery(repository, credentials, concurrency=concurrency).run(
            candidates, lambda far: bar.update(shown, completed=far.targets_done)
        )


def _progress_bar(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
        console=console, transient=True,
    )  # fmt: skip


def _print_summary(result: DiscoveryResult) -> None:
    table = Table(box=None, pad_edge=False)
    for title in ("address", "name", "outcome", "ports", ""):
        table.add_column(title, justify="right" if title == "ports" else "left")
    for one in sorted(result.outcomes, key=lambda outcome: outcome.address):
        name = str((one.element or {}).get("name", ""))
        table.add_row(one.address, name, one.status, str(one.ports or ""), one.message)
    if result.outcomes:
        _print_table(table)
    counts = ", ".join(f"{count} {outcome}" for outcome, count in sorted(result.counts.items()))
    click.echo(
        f"{counts or 'nothing to look at'}; {result.links_changed} ports connected or disconnected"
    )


def _parse_candidates(target: str, defaults: Candidate) -> Iterator[Candidate]:
    """Yield the places that an argument means: what it says, or what the file of that name says."""
    lines: Iterable[tuple[str, str]] = [(target, target)]
    if target == "-":
        lines = [(f"-:{n}", line) for n, line in enumerate(sys.stdin, 1)]
    elif Path(target).is_file():
        text = Path(target).read_text("utf-8")
        lines = [(f"{target}:{n}", line) for n, line in enumerate(text.splitlines(), 1)]
    for where, line in lines:
        stripped = line.strip()
        if not stripped or stripped.startswith("#"):
            continue
        try:
            yield from _parse_line(stripped, defaults)
        except ValueError as error:
            raise click.ClickException(f"{where}: {error}") from None


def _parse_line(line: str, defaults: Candidate) -> Iterator[Candidate]:
    said: dict[str, Any] = orjson.loads(line) if line.startswith("{") else {"address": line}
    if unknown := sorted(set(said) - _LINE_MEMBERS):
        raise ValueError(f"{', '.join(unknown)}: expected {', '.join(sorted(_LINE_MEMBERS))}")
    credentials = said.get("credentials", defaults.credentials)
    site = said.get("place", defaults.site)
    options = said.get("options", defaults.options)
    if not isinstance(options, dict):
        raise ValueError("options: expected an object")  # noqa: TRY004 - of a file, not a type
    for one in parse_targets([str(said.get("address", ""))]):
        yield Candidate(
            one,
            str(said.get("adapter", defaults.adapter)),
            (credentials,) if isinstance(credentials, str) else tuple(map(str, credentials)),
            {str(name): str(value) for name, value in options.items()},
            {"@type": "PlaceRef", "id": site} if isinstance(site, str) else site,
        )


def _parse_options(arguments: tuple[str, ...]) -> dict[str, str]:
    made = {}
    for one in arguments:
        name, equals, value = one.partition("=")
        if not equals:
            raise click.ClickException(f"--option {one}: expected NAME=VALUE")
        made[name] = value
    return made


def element_connections(credentials_file: str, database: MongoDatabase) -> Connections:
    """Return the way to the elements, with the secrets of a file."""
    return Connections(Credentials(credentials_file), ElementLeases(database))


def audit(  # noqa: PLR0913 - the options of the command
    repository: Repository,
    connections: Connections,
    elements: Iterable[str],
    *,
    remedy: str,
    as_json: bool,
    concurrency: int,
) -> int:
    """Compare elements with the inventories, and return the exit status: 1 if they differ."""
    try:
        chosen = elements_called(repository, elements)
    except ValueError as error:
        raise click.ClickException(str(error)) from None
    work = _run_audit(repository, connections, chosen, remedy, concurrency)
    result, outcomes = asyncio.run(work)
    if as_json:
        shown = difference_items(result.differences)
        for one, outcome in zip(shown, outcomes, strict=False):
            one |= {"chosen": remedy, "outcome": outcome.status, "result": outcome.message}
        facts = {**audit_attributes(result), "difference": shown}
        click.echo(orjson.dumps(facts, option=orjson.OPT_INDENT_2))
    else:
        _print_differences(result, outcomes)
    resolved = len(outcomes) == len(result.differences) and all(
        one.status == OUTCOME_DONE for one in outcomes
    )
    return 0 if resolved and not result.unreachable else 1


async def _run_audit(
    repository: Repository,
    connections: Connections,
    elements: list[Resource],
    remedy: str,
    concurrency: int,
) -> tuple[AuditResult, list[RemedyOutcome]]:
    try:
        with _progress_bar(Console(stderr=True)) as bar:
            shown = bar.add_task("elements", total=len(elements))
            result = await Auditor(repository, connections, concurrency=concurrency).run(
                elements, lambda far: bar.update(shown, completed=far.elements_done)
            )
        if not remedy:
            return result, []
        remedies = RemedyExecutor(repository, connections, f"audit-{uuid.uuid4()}")
        return result, [await remedies.apply(*pair, remedy) for pair in result.differences]
    finally:
        await connections.close()


def _print_differences(result: AuditResult, outcomes: list[RemedyOutcome]) -> None:
    table = Table(box=None, pad_edge=False)
    for title in ("element", "port", "service", "difference", "", "outcome")[
        : 6 if outcomes else 5
    ]:
        table.add_column(title)
    for place, (element, one) in enumerate(result.differences):
        row = [str(element.get("name", "")), one.port, one.service, one.type, one.message]
        if outcomes:
            row.append(f"{outcomes[place].status} {outcomes[place].message}".strip())
        table.add_row(*row)
    if result.differences:
        _print_table(table)
    for name, why in sorted(result.unreachable.items()):
        click.echo(f"{name}: not compared: {why}")
    counts = ", ".join(f"{count} {type_}" for type_, count in result.counts.items())
    click.echo(
        f"{result.services_checked} services on {result.elements} elements: {counts or 'no difference'}; "
        f"{result.ports_in_flight} ports in flight left out"
    )


def _print_table(table: Table) -> None:
    console = Console(width=None if sys.stdout.isatty() else 160)
    console.print(table, markup=False, highlight=False)
