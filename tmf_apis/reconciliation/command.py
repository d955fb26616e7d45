"""``tmf discover``: places from the command line or a file, with progress and a summary."""

import asyncio
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import click
import orjson
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from adapters.credentials import Credentials
from tmf_apis.engine import Engine
from tmf_apis.network.targets import LIMIT, places
from tmf_apis.reconciliation.discovery import Candidate, Discovery, Found, known_places
from tmf_apis.rest.desk import Desks
from tmf_apis.rest.law import Desk

#: Outcomes that make the exit status 1.
BAD = ("unreachable", "refused", "inDoubt")
_KNOWN = {"address", "adapter", "credentials", "options", "place"}


def discover(  # noqa: PLR0913 - the options of the command
    engine: Engine,
    targets: Iterable[str],
    *,
    adapter: str,
    credentials: tuple[str, ...],
    options: tuple[str, ...],
    place: str,
    tenant: str,
    at_once: int,
) -> int:
    """Look at targets and write them into the inventory; return the exit status."""
    desk = Desks(engine.writes, "tmf-discover").staff(tenant or engine.settings.default_tenant)
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
    secrets = Credentials(engine.settings.credentials_file)
    found = asyncio.run(_run(desk, secrets, unique, console, at_once))
    _summary(found)
    return 1 if any(found.count(one) for one in BAD) else 0


async def _run(
    desk: Desk, secrets: Credentials, candidates: list[Candidate], console: Console, at_once: int
) -> Found:
    columns = (
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
    )  # fmt: skip
    with Progress(*columns, console=console, transient=True) as bar:
        shown = bar.add_task("addresses", total=len(candidates))
        return await Discovery(desk, secrets, at_once=at_once).run(
            candidates, lambda far: bar.update(shown, completed=far.done)
        )


def _summary(found: Found) -> None:
    table = Table(box=None, pad_edge=False)
    for title in ("address", "name", "outcome", "ports", ""):
        table.add_column(title, justify="right" if title == "ports" else "left")
    for one in sorted(found.outcomes, key=lambda outcome: outcome.address):
        name = str((one.element or {}).get("name", ""))
        table.add_row(one.address, name, one.outcome, str(one.ports or ""), one.message)
    console = Console(width=None if sys.stdout.isatty() else 160)
    if found.outcomes:
        console.print(table, markup=False, highlight=False)
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
