"""``tmf audit-log``: show, export and verify the audit log from the command line."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

import click
import orjson
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from tmf_apis.audit_log.blocks import ChainHead
from tmf_apis.audit_log.log import AuditLog
from tmf_apis.audit_log.queries import EntryCriteria, find_entries, stream_entries
from tmf_apis.audit_log.signing import PublicKeys, key_file, load_key
from tmf_apis.audit_log.verification import ChainReport, Verifier, chain_heads, retention_of
from tmf_apis.command_options import (
    data_dir_option,
    read_settings,
    report_start_errors,
    with_options,
)
from tmf_apis.json_lines import json_line
from tmf_apis.security.identity import Identity
from tmf_apis.security.request_origin import command_origin, current_origin
from tmf_apis.settings import Settings
from tmf_apis.store.embedded_mongod import open_database

#: Subject of the entries of this command.
SUBJECT = "tmf-audit-log"

_COMMON_OPTIONS = (
    click.option("--uri", default="", help="MongoDB to read; default: TMF_MONGODB_URI."),
    data_dir_option,
    click.option("--tenant", default="", help="Only this tenant; default: all."),
)
_TIME = click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%SZ"])
_FILTER_OPTIONS = (
    click.option("--to", "before", type=_TIME, help="Only entries before this time, UTC."),
    click.option("--from", "since", type=_TIME, help="Only entries of this time or later, UTC."),
    click.option("--outcome", default="", help="Only done or refused ones."),
    click.option("--operation", default="", help="Only this operation: create, change, delete."),
    click.option("--resource", default="", help="Only entries about the resource with this id."),
    click.option("--kind", default="", help="Only entries about resources of this kind."),
    click.option("--subject", default="", help="Only entries of this subject."),
)


@contextmanager
def _open_log(uri: str, data_dir: Path | None) -> Iterator[tuple[AuditLog, Settings]]:
    """Open the audit log of the configured database."""
    settings = read_settings(data_dir, uri)
    current_origin.set(command_origin())
    with report_start_errors(), open_database(settings) as database:
        log = AuditLog(database)
        log.prepare()
        yield log, settings


@click.group("audit-log")
def group() -> None:
    """Show, export and verify the audit log: who changed what, and what was refused."""


@group.command()
@with_options(*_COMMON_OPTIONS, *_FILTER_OPTIONS)
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1), help="Most rows.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, one entry a line.")
def show(uri: str, data_dir: Path | None, limit: int, *, as_json: bool, **criteria: Any) -> None:  # noqa: ANN401
    """Show the newest entries."""
    with _open_log(uri, data_dir) as (log, _):
        rows, total = find_entries(log, _criteria(**criteria), limit=limit)
    if as_json:
        for row in rows:
            click.echo(json_line(row))
        return
    table = Table("Time", "Subject", "Address", "Operation", "Resource", "Rev", "Details")
    for row in rows:
        table.add_row(*_cells(row))
    console = Console(soft_wrap=True)
    console.print(table)
    console.print(f"{len(rows)} of {total:,} entries", highlight=False)


@group.command()
@with_options(*_COMMON_OPTIONS, *_FILTER_OPTIONS)
@click.option("--out", type=click.File("wb"), default="-", help="File; default: standard output.")
def export(uri: str, data_dir: Path | None, out: BinaryIO, **criteria: Any) -> None:  # noqa: ANN401
    """Write all entries as NDJSON, oldest first."""
    with _open_log(uri, data_dir) as (log, settings):
        tenant = criteria["tenant"] or settings.default_tenant
        log.record(Identity(SUBJECT, tenant), "export", kind="AuditLog")
        entries = stream_entries(log, _criteria(**criteria))
        out.writelines(orjson.dumps(e, option=orjson.OPT_APPEND_NEWLINE) for e in entries)


@group.command()
@with_options(*_COMMON_OPTIONS)
@click.option(
    "--checkpoint",
    type=click.File("r"),
    help="File of checkpoints that the chains must agree with.",
)
@click.option(
    "--public-key",
    "public_keys",
    multiple=True,
    type=click.Path(exists=True, path_type=Path, dir_okay=False),
    help="Public key (PEM) of another server that seals entries; repeatable.",
)
def verify(
    uri: str,
    data_dir: Path | None,
    tenant: str,
    checkpoint: Any,  # noqa: ANN401
    public_keys: tuple[Path, ...],
) -> None:
    """Verify the chain of each tenant.

    The exit status is 1 if an entry was altered, removed, inserted or moved; the first is named.
    """
    checkpoints = _checkpoints(checkpoint.read() if checkpoint else "")
    with _open_log(uri, data_dir) as (log, settings):
        try:
            keys = PublicKeys.from_files(key_file(settings), public_keys)
        except (OSError, ValueError) as error:
            raise click.ClickException(str(error)) from None
        names = [tenant] if tenant else sorted({*log.tenants(), *checkpoints})
        reports = [_verify_chain(log, settings, keys, name, checkpoints) for name in names]
    for report in reports:
        click.echo(_summary(report))
    sys.exit(1 if any(report.problem for report in reports) else 0)


@group.command()
@with_options(*_COMMON_OPTIONS)
def checkpoint(uri: str, data_dir: Path | None, tenant: str) -> None:
    """Print the end of each chain: tenant, block, sequence and hash, to keep elsewhere."""
    with _open_log(uri, data_dir) as (log, _):
        for head in chain_heads(log, [tenant] if tenant else log.tenants()):
            click.echo(head.checkpoint())


@group.command("public-key")
@data_dir_option
def public_key(data_dir: Path | None) -> None:
    """Print the public key of this server, with which others can verify its blocks."""
    file = key_file(read_settings(data_dir))
    try:
        key = load_key(file)
    except (OSError, ValueError) as error:
        raise click.ClickException(str(error)) from None
    if key is None:
        raise click.ClickException(f"{file} does not exist; the worker creates it")
    click.echo(key.public_pem(), nl=False)


def _criteria(since: datetime | None, before: datetime | None, **members: str) -> EntryCriteria:
    return EntryCriteria(
        since=since and since.replace(tzinfo=UTC),
        before=before and before.replace(tzinfo=UTC),
        **members,
    )


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    """Return the cells of an entry in the table of ``show``."""
    resource = row.get("resource", "")
    if isinstance(resource, list):
        resource = f"{len(resource)} resources"
    details = [", ".join(row.get("attributes", ()))]
    if "newState" in row or "oldState" in row:
        details.append(f"{row.get('oldState', '')} -> {row.get('newState', '')}")
    if row["outcome"] == "refused":
        details.append(f"refused: {row.get('status')} x{row.get('count', 1)}")
    return (
        row["time"],
        row.get("subject", ""),
        row.get("address", row.get("account", "")),
        row["operation"],
        f"{row.get('kind', '')} {resource}".strip(),
        str(row.get("revision", "")),
        "; ".join(filter(None, details)),
    )


def _checkpoints(text: str) -> dict[str, ChainHead]:
    try:
        heads = [ChainHead.from_checkpoint(line) for line in text.splitlines() if line.strip()]
    except ValueError as error:
        raise click.ClickException(f"checkpoint: {error}") from None
    return {head.tenant: head for head in heads}


def _verify_chain(
    log: AuditLog,
    settings: Settings,
    keys: PublicKeys,
    tenant: str,
    checkpoints: dict[str, ChainHead],
) -> ChainReport:
    """Verify a chain while a progress bar is shown."""
    (head,) = chain_heads(log, [tenant])
    anchor = log.anchor(tenant)
    total = head.last - (anchor["last"] if anchor else 0)
    with Progress(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
        console=Console(stderr=True), transient=True,
    ) as progress:  # fmt: skip
        task = progress.add_task(tenant, total=total)
        verifier = Verifier(
            log,
            keys,
            retention_of(settings.audit_log_days),
            lambda count: progress.update(task, completed=count),
        )
        return verifier.verify(tenant, checkpoints.get(tenant))


def _summary(report: ChainReport) -> str:
    if report.problem:
        return f"{report.tenant}: NOT VALID: {report.problem}"
    text = f"{report.tenant}: {report.entries:,} entries are valid, up to {report.head.last}"
    return text + (f"; {report.pending:,} are not sealed yet" if report.pending else "")
