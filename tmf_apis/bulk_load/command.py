"""``tmf load``: loads files with a progress display and writes rejected lines to a file."""

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
from tmf_apis.rest.contracts.contract import load_contracts
from tmf_apis.security.request_origin import command_origin, current_origin
from tmf_apis.settings import Settings
from tmf_apis.store.embedded_mongod import open_database

#: Number of bytes that are read at a time.
_CHUNK_SIZE = 1 << 18
#: File name that means standard input.
STDIN = "-"


@contextmanager
def open_engine(settings: Settings) -> Iterator[Engine]:
    """Open an engine on the configured database; start the embedded one if need be.

    Raises:
        CannotStart: The database cannot be reached or started.
    """
    current_origin.set(command_origin())
    with open_database(settings) as database:
        contracts = load_contracts(CONTRACTS_DIR, settings.data_dir / "cache")
        engine = Engine(settings, contracts, database)
        engine.prepare()
        yield engine


class RejectFile:
    """Reports the rejected lines of a file and writes them to ``<name>.rejected.ndjson``."""

    def __init__(self, name: str, console: Console) -> None:
        self._name, self._console = name, console
        stem = "stdin" if name == STDIN else name
        self.path = Path(f"{stem}.rejected.ndjson")
        self._file: BinaryIO | None = None
        self.path.unlink(missing_ok=True)

    def __call__(self, line: int, reason: str, raw: bytes) -> None:
        """Report and store a rejected line."""
        self._console.print(
            f"{self._name}:{line}: {reason}", style="red", markup=False, highlight=False,
            soft_wrap=True,
        )  # fmt: skip
        if self._file is None:
            self._file = self.path.open("wb")
        self._file.write(_single_line(raw) + b"\n")

    def close(self) -> None:
        """Close the file if it was opened."""
        if self._file is not None:
            self._file.close()


def _single_line(raw: bytes) -> bytes:
    """Return a resource in one line; a resource of a JSON array can have several."""
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
    """Load files; return the number of rejected lines.

    Raises:
        ClickException: There is no kind ``kind``, or the database no longer answers.
        CannotStart: The database cannot be reached or started.
    """
    console = Console(stderr=True)
    rejected_count = 0
    with open_engine(replace(settings, auth="off")) as engine:
        types = TypeResolver(engine, version)
        named_kind = types.kind_for_name(kind) if kind else ""
        if kind and not named_kind:
            raise click.ClickException(
                f"there is no kind {kind}; the kinds are {', '.join(types.kinds())}"
            )
        loader = Loader(engine, types, tenant=tenant, replace=overwrite)
        with _progress(console) as progress:
            for name in files:
                default_kind = named_kind or types.kind_for_file(name)
                rejected_count += _load_file(loader, name, default_kind, progress).rejected_count
    return rejected_count


def _progress(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("kB"),
        TimeElapsedColumn(),
        TextColumn("{task.fields[summary]}"),
        console=console,
    )


def _load_file(loader: Loader, name: str, default_kind: str, progress: Progress) -> LoadResult:
    size = None if name == STDIN else Path(name).stat().st_size // 1024
    task = progress.add_task(name, total=size, summary="")
    reject_file = RejectFile(name, progress.console)
    bytes_read = 0

    def chunks(file: BinaryIO) -> Iterator[bytes]:
        nonlocal bytes_read
        while chunk := file.read(_CHUNK_SIZE):
            bytes_read += len(chunk)
            yield chunk

    result = LoadResult()
    try:
        with sys.stdin.buffer if name == STDIN else Path(name).open("rb") as file:
            for result in loader.load(chunks(file), default_kind, reject_file):
                progress.update(task, completed=bytes_read // 1024, summary=_summary(result))
    except TmfError as error:
        raise click.ClickException(
            f"{name}: {error.message or error.reason}; repeat the command to continue"
        ) from None
    finally:
        reject_file.close()
    if result.rejected_count:
        progress.console.print(
            f"{name}: {result.rejected_count} rejected lines are in {reject_file.path}",
            soft_wrap=True,
        )
    return result


def _summary(result: LoadResult) -> str:
    parts = [f"{result.loaded_count:,} loaded"]
    if result.skipped_count:
        parts.append(f"{result.skipped_count:,} existing")
    if result.rejected_count:
        parts.append(f"{result.rejected_count:,} rejected")
    return ", ".join(parts)
