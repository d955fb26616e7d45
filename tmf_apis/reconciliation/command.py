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
from tmf_apis.elements.connections import Connections
from tmf_apis.elements.leasing import Leasing
from tmf_apis.network.targets import LIMIT, places
from tmf_apis.reconciliation.audit import Audit, Result
from tmf_apis.reconciliation.audit import chosen as elements_called
from tmf_apis.reconciliation.auditing import listed, told
from tmf_apis.reconciliation.discovery import Candidate, Discovery, Found, known_places
from tmf_apis.reconciliation.remedies import DONE, Outcome, Remedies
from tmf_apis.rest.law import Desk, Resource
from tmf_apis.store.connection import Documents

#: Outcomes that make the exit status 1.
BAD = ("unreachable", "refused", "inDoubt")
_KNOWN = {"address", "adapter", "credentials", "options", "place"}


def discover(  # noqa: PLR0913 - the options of the command
    desk: Desk,
    secrets: str,
    targets: Iterable[str],
    *,
    adapter: str,
    credentials: tuple[str, ...],
    options: tuple[str, ...],
    place: str,
    at_once: int,
) -> int:
    """Look at targets and write them into the inventory; return the exit status.

    Args:
        desk: Whose inventory.
        secrets: The file of credentials.
        targets: Addresses, ranges, blocks and files of such.
        adapter: Adapter of elements that the inventory does not know, with the following too.
        credentials: Names of credentials, tried in this order.
        options: Options of the adapter as NAME=VALUE.
        place: Id of the place where they are.
        at_once: Elements that are read at once.
    """
    usual = Candidate(
        next(iter(places(["localhost"]))),
        adapter,
        credentials,
        _options(options),
        {"@type": "PlaceRef", "id": place} if place else None,
    )
    candidates = [one for target in targets for one in _candidates(target, usual)]
    candidates = candidates or known_places(desk)
    unique = list({one.place.address: one for one in candidates}.values())
    if len(unique) > LIMIT:
        raise click.ClickException(f"these are {len(unique)} addresses; at most {LIMIT}")
    console = Console(stderr=True)
    found = asyncio.run(_run(desk, Credentials(secrets), unique, console, at_once))
    _summary(found)
    return 1 if any(found.count(one) for one in BAD) else 0


async def _run(
    desk: Desk, secrets: Credentials, candidates: list[Candidate], console: Console, at_once: int
) -> Found:
    with _progress(console) as bar:
        shown = bar.add_task("addresses", total=len(candidates))
        return await Discovery(desk, secrets, at_once=at_once).run(
            candidates, lambda far: bar.update(shown, completed=far.done)
        )


def _progress(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
        console=console, transient=True,
    )  # fmt: skip


def _summary(found: Found) -> None:
    table = Table(box=None, pad_edge=False)
    for title in ("address", "name", "outcome", "ports", ""):
        table.add_column(title, justify="right" if title == "ports" else "left")
    for one in sorted(found.outcomes, key=lambda outcome: outcome.address):
        name = str((one.element or {}).get("name", ""))
        table.add_row(one.address, name, one.outcome, str(one.ports or ""), one.message)
    if found.outcomes:
        _print(table)
    counts = ", ".join(f"{count} {outcome}" for outcome, count in sorted(found.counts.items()))
    click.echo(f"{counts or 'nothing to look at'}; {found.links} ports connected or disconnected")


def _candidates(target: str, usual: Candidate) -> Iterator[Candidate]:
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
            yield from _line(stripped, usual)
        except ValueError as error:
            raise click.ClickException(f"{where}: {error}") from None


def _line(line: str, usual: Candidate) -> Iterator[Candidate]:
    said: dict[str, Any] = orjson.loads(line) if line.startswith("{") else {"address": line}
    if unknown := sorted(set(said) - _KNOWN):
        raise ValueError(f"{', '.join(unknown)}: expected {', '.join(sorted(_KNOWN))}")
    credentials = said.get("credentials", usual.credentials)
    site = said.get("place", usual.site)
    options = said.get("options", usual.options)
    if not isinstance(options, dict):
        raise ValueError("options: expected an object")  # noqa: TRY004 - of a file, not a type
    for one in places([str(said.get("address", ""))]):
        yield Candidate(
            one,
            str(said.get("adapter", usual.adapter)),
            (credentials,) if isinstance(credentials, str) else tuple(map(str, credentials)),
            {str(name): str(value) for name, value in options.items()},
            {"@type": "PlaceRef", "id": site} if isinstance(site, str) else site,
        )


def _options(given: tuple[str, ...]) -> dict[str, str]:
    made = {}
    for one in given:
        name, equals, value = one.partition("=")
        if not equals:
            raise click.ClickException(f"--option {one}: expected NAME=VALUE")
        made[name] = value
    return made


def ways(secrets: str, database: Documents) -> Connections:
    """Return the way to the elements, with the secrets of a file."""
    return Connections(Credentials(secrets), Leasing(database))


def audit(  # noqa: PLR0913 - the options of the command
    desk: Desk,
    connections: Connections,
    elements: Iterable[str],
    *,
    remedy: str,
    as_json: bool,
    at_once: int,
) -> int:
    """Compare elements with the inventories, and return the exit status: 1 if they differ."""
    try:
        chosen = elements_called(desk, elements)
    except ValueError as error:
        raise click.ClickException(str(error)) from None
    work = _audit(desk, connections, chosen, remedy, at_once)
    result, outcomes = asyncio.run(work)
    if as_json:
        shown = listed(result.differences)
        for one, outcome in zip(shown, outcomes, strict=False):
            one |= {"chosen": remedy, "outcome": outcome.what, "result": outcome.message}
        facts = {**told(result), "difference": shown}
        click.echo(orjson.dumps(facts, option=orjson.OPT_INDENT_2))
    else:
        _differences(result, outcomes)
    resolved = len(outcomes) == len(result.differences) and all(
        one.what == DONE for one in outcomes
    )
    return 0 if resolved and not result.unreachable else 1


async def _audit(
    desk: Desk, connections: Connections, chosen: list[Resource], remedy: str, at_once: int
) -> tuple[Result, list[Outcome]]:
    try:
        with _progress(Console(stderr=True)) as bar:
            shown = bar.add_task("elements", total=len(chosen))
            result = await Audit(desk, connections, at_once=at_once).run(
                chosen, lambda far: bar.update(shown, completed=far.done)
            )
        if not remedy:
            return result, []
        remedies = Remedies(desk, connections, f"audit-{uuid.uuid4()}")
        return result, [await remedies.apply(*pair, remedy) for pair in result.differences]
    finally:
        await connections.close()


def _differences(result: Result, outcomes: list[Outcome]) -> None:
    table = Table(box=None, pad_edge=False)
    for title in ("element", "port", "service", "difference", "", "outcome")[
        : 6 if outcomes else 5
    ]:
        table.add_column(title)
    for place, (element, one) in enumerate(result.differences):
        row = [str(element.get("name", "")), one.port, one.service, one.type, one.message]
        if outcomes:
            row.append(f"{outcomes[place].what} {outcomes[place].message}".strip())
        table.add_row(*row)
    if result.differences:
        _print(table)
    for name, why in sorted(result.unreachable.items()):
        click.echo(f"{name}: not compared: {why}")
    counts = ", ".join(f"{count} {type_}" for type_, count in result.counts.items())
    click.echo(
        f"{result.checked} services on {result.elements} elements: {counts or 'no difference'}; "
        f"{result.in_flight} ports in flight left out"
    )


def _print(table: Table) -> None:
    console = Console(width=None if sys.stdout.isatty() else 160)
    console.print(table, markup=False, highlight=False)
