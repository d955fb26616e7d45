"""The commands ``tmf discover`` and ``tmf audit``."""

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
from tmf_apis.element_access.access_policy import COMMAND_LINE
from tmf_apis.element_access.connections import Connections
from tmf_apis.element_access.element_leases import ElementLeases
from tmf_apis.network_operations.targets import MAX_ADDRESSES, parse_targets
from tmf_apis.reconciliation.audit_tasks import audit_attributes, difference_items
from tmf_apis.reconciliation.auditor import Auditor, AuditResult, select_elements
from tmf_apis.reconciliation.discovery import (
    Candidate,
    Discovery,
    DiscoveryResult,
    StoredCallback,
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
    on_stored: StoredCallback,
) -> int:
    """Discover targets, write them into the inventory, and return the exit status.

    Args:
        repository: Repository of the tenant.
        credentials_file: Path of the credentials file.
        targets: Addresses, ranges, networks, and files that list them; none: the elements of the
            inventory.
        adapter: Name of the adapter of elements that the inventory does not know. This and the
            following are defaults; a line of a file may override them.
        credentials: Names of credentials, tried in this order.
        options: Options of the adapter as NAME=VALUE.
        place: Id of the place of new elements.
        concurrency: Number of elements that are read at the same time.
        on_stored: See ``Discovery``.
    """
    defaults = Candidate(
        next(iter(parse_targets(["localhost"]))),
        adapter,
        credentials,
        _parse_options(options),
        {"@type": "PlaceRef", "id": place} if place else None,
    )
    candidates = [
        candidate for target in targets for candidate in _parse_candidates(target, defaults)
    ]
    candidates = candidates or known_candidates(repository)
    unique = list({candidate.target.address: candidate for candidate in candidates}.values())
    if len(unique) > MAX_ADDRESSES:
        raise click.ClickException(
            f"{len(unique)} addresses are too many; at most {MAX_ADDRESSES} are read in one run"
        )
    console = Console(stderr=True)
    discovery = Discovery(
        repository, Credentials(credentials_file), concurrency=concurrency, on_stored=on_stored
    )
    result = asyncio.run(_run_discovery(discovery, unique, console))
    _print_summary(result)
    return 1 if any(result.count(status) for status in FAILED_OUTCOMES) else 0


async def _run_discovery(
    discovery: Discovery, candidates: list[Candidate], console: Console
) -> DiscoveryResult:
    with _progress_bar(console) as progress:
        task = progress.add_task("addresses", total=len(candidates))
        return await discovery.run(
            candidates, lambda result: progress.update(task, completed=result.targets_done)
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
    for outcome in sorted(result.outcomes, key=lambda outcome: outcome.address):
        name = str((outcome.element or {}).get("name", ""))
        table.add_row(
            outcome.address, name, outcome.status, str(outcome.ports or ""), outcome.message
        )
    if result.outcomes:
        _print_table(table)
    counts = ", ".join(f"{count} {outcome}" for outcome, count in sorted(result.counts.items()))
    click.echo(f"{counts or 'no targets'}; {result.links_changed} ports connected or disconnected")


def _parse_candidates(target: str, defaults: Candidate) -> Iterator[Candidate]:
    """Yield the candidates of an argument: a target, or a file ("-": standard input) of them."""
    lines: Iterable[tuple[str, str]] = [(target, target)]
    if target == "-":
        lines = [(f"-:{n}", line) for n, line in enumerate(sys.stdin, 1)]
    elif Path(target).is_file():
        text = Path(target).read_text("utf-8")
        lines = [(f"{target}:{n}", line) for n, line in enumerate(text.splitlines(), 1)]
    for position, line in lines:
        stripped = line.strip()
        if not stripped or stripped.startswith("#"):
            continue
        try:
            yield from _parse_line(stripped, defaults)
        except ValueError as error:
            raise click.ClickException(f"{position}: {error}") from None


def _parse_line(line: str, defaults: Candidate) -> Iterator[Candidate]:
    members: dict[str, Any] = orjson.loads(line) if line.startswith("{") else {"address": line}
    if unknown := sorted(set(members) - _LINE_MEMBERS):
        raise ValueError(f"{', '.join(unknown)}: expected {', '.join(sorted(_LINE_MEMBERS))}")
    credentials = members.get("credentials", defaults.credentials)
    site = members.get("place", defaults.site)
    options = members.get("options", defaults.options)
    if not isinstance(options, dict):
        raise ValueError("options: expected an object")  # noqa: TRY004 - invalid file content
    for target in parse_targets([str(members.get("address", ""))]):
        yield Candidate(
            target,
            str(members.get("adapter", defaults.adapter)),
            (credentials,) if isinstance(credentials, str) else tuple(map(str, credentials)),
            {str(name): str(value) for name, value in options.items()},
            {"@type": "PlaceRef", "id": site} if isinstance(site, str) else site,
        )


def _parse_options(arguments: tuple[str, ...]) -> dict[str, str]:
    options = {}
    for argument in arguments:
        name, equals, value = argument.partition("=")
        if not equals:
            raise click.ClickException(f"--option {argument}: expected NAME=VALUE")
        options[name] = value
    return options


def element_connections(credentials_file: str, database: MongoDatabase) -> Connections:
    """Return connections to elements that use the secrets of a credentials file."""
    return Connections(Credentials(credentials_file), ElementLeases(database), policy=COMMAND_LINE)


def audit(  # noqa: PLR0913 - the options of the command
    repository: Repository,
    connections: Connections,
    elements: Iterable[str],
    *,
    remedy: str,
    as_json: bool,
    concurrency: int,
) -> int:
    """Compare elements with the inventories; return 1 if unresolved differences remain, else 0.

    Args:
        repository: Repository of the tenant.
        connections: Connections to the elements; closed at the end.
        elements: Ids or names of elements; none: all.
        remedy: Remedy to apply to each difference; empty: none.
        as_json: Print JSON instead of a table.
        concurrency: Number of elements that are read at the same time.
    """
    try:
        selected = select_elements(repository, elements)
    except ValueError as error:
        raise click.ClickException(str(error)) from None
    result, outcomes = asyncio.run(
        _run_audit(repository, connections, selected, remedy, concurrency)
    )
    if as_json:
        items = difference_items(result.differences)
        for item, outcome in zip(items, outcomes, strict=False):
            item |= {"chosen": remedy, "outcome": outcome.status, "result": outcome.message}
        report = {**audit_attributes(result), "difference": items}
        click.echo(orjson.dumps(report, option=orjson.OPT_INDENT_2))
    else:
        _print_differences(result, outcomes)
    resolved = len(outcomes) == len(result.differences) and all(
        outcome.status == OUTCOME_DONE for outcome in outcomes
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
        with _progress_bar(Console(stderr=True)) as progress:
            task = progress.add_task("elements", total=len(elements))
            result = await Auditor(repository, connections, concurrency=concurrency).run(
                elements, lambda result: progress.update(task, completed=result.elements_done)
            )
        if not remedy:
            return result, []
        executor = RemedyExecutor(repository, connections, f"audit-{uuid.uuid4()}")
        return result, [await executor.apply(*pair, remedy) for pair in result.differences]
    finally:
        await connections.close()


def _print_differences(result: AuditResult, outcomes: list[RemedyOutcome]) -> None:
    table = Table(box=None, pad_edge=False)
    for title in ("element", "port", "service", "difference", "", "outcome")[
        : 6 if outcomes else 5
    ]:
        table.add_column(title)
    for position, (element, difference) in enumerate(result.differences):
        row = [
            str(element.get("name", "")),
            difference.port,
            difference.service,
            difference.type,
            difference.message,
        ]
        if outcomes:
            row.append(f"{outcomes[position].status} {outcomes[position].message}".strip())
        table.add_row(*row)
    if result.differences:
        _print_table(table)
    for name, reason in sorted(result.unreachable.items()):
        click.echo(f"{name}: not compared: {reason}")
    counts = ", ".join(f"{count} {type_}" for type_, count in result.counts.items())
    click.echo(
        f"{result.services_checked} services on {result.elements} elements: "
        f"{counts or 'no difference'}; {result.ports_in_flight} ports in flight left out"
    )


def _print_table(table: Table) -> None:
    console = Console(width=None if sys.stdout.isatty() else 160)
    console.print(table, markup=False, highlight=False)
