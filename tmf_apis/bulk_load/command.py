"""``tmf load``: files from the command line, with progress, and what was wrong kept beside them."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

import click
import orjson
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from tmf_apis.app import CONTRACTS_DIR, Engine
from tmf_apis.bulk_load.loader import Loader, LoadResult
from tmf_apis.bulk_load.resource_types import TypeResolver
from tmf_apis.errors import TmfError
from tmf_apis.rest.contracts.contract import load_contracts as contracts
from tmf_apis.settings import Settings
from tmf_apis.store.connection import connect
from tmf_apis.store.embedded_mongod import EmbeddedMongod

_CHUNK_SIZE = 1 << 18
STDIN = "-"


@contextmanager
def open_engine(settings: Settings) -> Iterator[Engine]:
    """Give an engine on the database of the settings: the one that runs there, or a new one.

    Raises:
        CannotStart: There is no database to be had.
    """
    mongod = None if settings.mongodb_uri else EmbeddedMongod(settings)
    if mongod:
        settings.data_dir.mkdir(parents=True, exist_ok=True)
        mongod.start()
    try:
        database = connect(settings, mongod.uri if mongod else settings.mongodb_uri)
        made = Engine(settings, contracts(CONTRACTS_DIR, settings.data_dir / "cache"), database)
        made.prepare()
        try:
            yield made
        finally:
            database.client.close()
    finally:
        if mongod:
            mongod.stop()


class RejectFile:
    """The lines of one file that were at fault: told at once, and kept to be mended."""

    def __init__(self, name: str, console: Console) -> None:
        self._name, self._console = name, console
        stem = "stdin" if name == STDIN else name
        self.path = Path(f"{stem}.rejected.ndjson")
        self._file: BinaryIO | None = None
        self.path.unlink(missing_ok=True)

    def __call__(self, line: int, reason: str, raw: bytes) -> None:
        """Take a line."""
        self._console.print(
            f"{self._name}:{line}: {reason}", style="red", markup=False, highlight=False,
            soft_wrap=True,
        )  # fmt: skip
        if self._file is None:
            self._file = self.path.open("wb")
        self._file.write(_single_line(raw) + b"\n")

    def close(self) -> None:
        """Close the file, if there is one."""
        if self._file is not None:
            self._file.close()


def _single_line(raw: bytes) -> bytes:
    if b"\n" not in raw:
        return raw
    try:
        return orjson.dumps(orjson.loads(raw))
    except orjson.JSONDecodeError:
        return raw.replace(b"\n", b" ")


def run(  # noqa: PLR0913 - the options of the command
    settings: Settings,
    files: tuple[str, ...],
    *,
    kind: str = "",
    version: str = "v5",
    tenant: str = "",
    overwrite: bool = False,
) -> int:
    """Load files; return how many lines were at fault.

    Raises:
        ClickException: No type has the name ``kind``, or the database went away.
        CannotStart: There is no database to be had.
    """
    console = Console(stderr=True)
    with open_engine(replace(settings, auth="off")) as made:
        types = TypeResolver(made, version)
        forced = types.kind_for_name(kind) if kind else ""
        if kind and not forced:
            raise click.ClickException(f"no kind {kind}; there are {', '.join(types.kinds())}")
        loader = Loader(made, types, tenant=tenant, replace=overwrite)
        faults = 0
        with _progress(console) as progress:
            for name in files:
                otherwise = forced or types.kind_for_file(name)
                faults += _load_file(loader, name, otherwise, progress).rejected_count
    return faults


def _progress(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("kB"),
        TimeElapsedColumn(),
        TextColumn("{task.fields[said]}"),
        console=console,
    )


def _load_file(loader: Loader, name: str, default_kind: str, progress: Progress) -> LoadResult:
    size = None if name == STDIN else Path(name).stat().st_size // 1024
    task = progress.add_task(name, total=size, said="")
    rejected = RejectFile(name, progress.console)
    read = 0

    def chunks(file: BinaryIO) -> Iterator[bytes]:
        nonlocal read
        while chunk := file.read(_CHUNK_SIZE):
            read += len(chunk)
            yield chunk

    outcome = LoadResult()
    try:
        with sys.stdin.buffer if name == STDIN else Path(name).open("rb") as file:
            for outcome in loader.load(chunks(file), default_kind, rejected):
                progress.update(task, completed=read // 1024, said=_summary(outcome))
    except TmfError as error:
        raise click.ClickException(
            f"{name}: {error.message or error.reason}; repeat the command to go on"
        ) from None
    finally:
        rejected.close()
    if outcome.rejected_count:
        progress.console.print(
            f"{name}: {outcome.rejected_count} lines at fault are in {rejected.path}",
            soft_wrap=True,
        )
    return outcome


def _summary(outcome: LoadResult) -> str:
    parts = [f"{outcome.loaded_count:,} loaded"]
    if outcome.skipped_count:
        parts.append(f"{outcome.skipped_count:,} there already")
    if outcome.rejected_count:
        parts.append(f"{outcome.rejected_count:,} at fault")
    return ", ".join(parts)
