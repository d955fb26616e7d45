"""The command ``tmf``."""

import dataclasses
import json
import logging
import sys
import warnings
from collections.abc import Callable
from datetime import UTC, datetime
from functools import wraps
from pathlib import Path
from typing import Any, ClassVar

import click

from tmf_apis.settings import Settings
from tmf_apis.store.process import CannotStart

_RECORD_ATTRIBUTES = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class JsonLinesFormatter(logging.Formatter):
    """One JSON object a line: time, level, message, and the facts given beside it."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        line |= {name: v for name, v in vars(record).items() if name not in _RECORD_ATTRIBUTES}
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str, ensure_ascii=False)


def configure_logging(level: str) -> None:
    """Log JSON lines to standard error."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLinesFormatter())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    for noisy in ("httpx", "httpcore", "uvicorn.error", "pymongo"):
        logging.getLogger(noisy).setLevel(max(logging.WARNING, logging.getLogger().level))


def _read_settings(data_dir: Path | None) -> Settings:
    try:
        settings = Settings.from_environment()
    except ValueError as error:
        raise click.ClickException(str(error)) from None
    return dataclasses.replace(settings, data_dir=data_dir) if data_dir else settings


def _report_start_errors(command: Callable[..., Any]) -> Callable[..., Any]:
    """Show what cannot start as one sentence instead of a traceback."""

    @wraps(command)
    def wrapped(*args: Any, **options: Any) -> Any:  # noqa: ANN401
        try:
            return command(*args, **options)
        except CannotStart as error:
            raise click.ClickException(str(error)) from None

    return wrapped


_data_dir_option = click.option(
    "--data-dir",
    type=click.Path(path_type=Path, file_okay=False),
    help="Directory of the embedded database and of files; default: TMF_DATA_DIR.",
)


class _LazyGroup(click.Group):
    """A group some of whose commands are loaded when they are asked for."""

    lazy_commands: ClassVar = {"adapters": "adapters", "element": "group"}

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands."""
        return sorted({*super().list_commands(ctx), *self.lazy_commands})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return the command of a name."""
        if cmd_name not in self.lazy_commands:
            return super().get_command(ctx, cmd_name)
        from tmf_apis.element_cli import command

        found: click.Command = getattr(command, self.lazy_commands[cmd_name])
        return found


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="tmf-apis")
def main() -> None:
    """TM Forum Open APIs over MongoDB, joined to the network elements."""
    # connexion 3.3 imports starlette's test client, which has something to say about httpx.
    warnings.filterwarnings("ignore", "Using .httpx. with .starlette")


@main.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=8620, show_default=True, help="TCP port; 0 for a free one.")
@_data_dir_option
@click.option("--demo", is_flag=True, help="Load a demo operator into an empty database first.")
@_report_start_errors
def serve(host: str, port: int, data_dir: Path | None, *, demo: bool) -> None:
    """Serve the APIs with everything they need, until told to stop."""
    from tmf_apis.server import Server  # noqa: PLC0415 - the other commands need none of it

    settings = _read_settings(data_dir)
    configure_logging(settings.log_level)
    from tmf_apis import demo as operator  # noqa: PLC0415

    fill = operator.load_demo_data if demo else None
    sys.exit(Server(settings, host=host, port=port, load_data=fill).run())


@main.command()
@_report_start_errors
def work() -> None:
    """Deliver events, fulfil orders and take notifications; `tmf serve` runs one of these."""
    from tmf_apis import worker

    settings = _read_settings(None)
    configure_logging(settings.log_level)
    worker.run(settings)


@main.command()
def settings() -> None:
    """Print every setting with its value, its unit and what it is for."""
    for name, value, help in _read_settings(None).table():
        click.echo(f"{name:24} {value:28} {help}")


@main.command()
@click.option("--subject", default="someone", show_default=True, help="Who it is for.")
@click.option("--scope", "scopes", multiple=True, help="A scope; repeatable. Default: all.")
@click.option("--tenant", default="", help="Whose data; default: the default tenant.")
@click.option("--party", "parties", multiple=True, help="A party it acts for; repeatable.")
@click.option("--hours", default=12.0, show_default=True, help="How long it is good.")
@_data_dir_option
def token(  # noqa: PLR0913, PLR0917
    subject: str,
    scopes: tuple[str, ...],
    tenant: str,
    parties: tuple[str, ...],
    hours: float,
    data_dir: Path | None,
) -> None:
    """Print a bearer token signed with this server's own key, for trying."""
    from tmf_apis.app import CONTRACTS_DIR  # noqa: PLC0415
    from tmf_apis.rest.contracts.contract import load_contracts  # noqa: PLC0415
    from tmf_apis.security import local_keys

    settings = _read_settings(data_dir)
    if not scopes:
        contracts = load_contracts(CONTRACTS_DIR, settings.data_dir / "cache")
        every = {scope for c in contracts for o in c.operations for scope in o.scopes}
        scopes = (*sorted(every), "admin")
    text = local_keys.issue_token(
        settings,
        subject=subject,
        scopes=scopes,
        tenant=tenant,
        parties=parties or None,
        hours=hours,
    )
    click.echo(text)


@main.command("load")
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@click.option(
    "--kind", default="", help="Kind of lines whose @type says none; else the file's name."
)
@click.option("--version", default="v5", type=click.Choice(["v4", "v5"]), show_default=True,
              help="The version that the files are in.")  # fmt: skip
@click.option("--tenant", default="", help="Whose they become; default: the default tenant.")
@click.option("--replace", is_flag=True, help="Write over what is there; else it is passed over.")
@click.option("--uri", default="", help="MongoDB to load into; default: TMF_MONGODB_URI.")
@_data_dir_option
@_report_start_errors
def load_files(  # noqa: PLR0913, PLR0917
    files: tuple[str, ...],
    kind: str,
    version: str,
    tenant: str,
    uri: str,
    data_dir: Path | None,
    *,
    replace: bool,
) -> None:
    """Load resources from FILEs: one a line or one array, plain or gzip; - is standard input.

    Repeat it to go on where it was cut off: what is there already is passed over. Lines at fault
    are told with their number and kept in FILE.rejected.ndjson; the exit status is 1 then.
    """
    from tmf_apis.bulk_load import command

    for name in files:
        if name != command.STDIN and not Path(name).is_file():
            raise click.ClickException(f"{name}: there is no such file")
    settings = _read_settings(data_dir)
    if uri:
        settings = dataclasses.replace(settings, mongodb_uri=uri)
    configure_logging("WARNING")
    faults = command.run(
        settings, files, kind=kind, version=version, tenant=tenant, overwrite=replace
    )
    sys.exit(1 if faults else 0)


@main.command()
@click.option("--category", "categories", multiple=True, help="Only of this category; repeatable.")
@click.option("--place", "places", multiple=True, help="Only at this place (id); repeatable.")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1), help="Most rows.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--tenant", default="", help="Whose network; default: the default tenant.")
@click.option("--uri", default="", help="MongoDB to look into; default: TMF_MONGODB_URI.")
@_data_dir_option
@_report_start_errors
def capacity(  # noqa: PLR0913, PLR0917
    categories: tuple[str, ...],
    places: tuple[str, ...],
    limit: int,
    tenant: str,
    uri: str,
    data_dir: Path | None,
    *,
    as_json: bool,
) -> None:
    """Show how full the network is and how long the rest lasts, the most urgent first."""
    from tmf_apis.bulk_load.command import open_engine  # noqa: PLC0415
    from tmf_apis.capacity import command  # noqa: PLC0415
    from tmf_apis.capacity.records import CapacityQuery  # noqa: PLC0415

    settings = _read_settings(data_dir)
    if uri:
        settings = dataclasses.replace(settings, mongodb_uri=uri)
    configure_logging("WARNING")
    wanted = CapacityQuery(categories, places, limit)
    with open_engine(settings) as made:
        owner = tenant or settings.default_tenant
        command.run(made.database, settings, owner, wanted, as_json=as_json)


@main.command()
@click.argument("targets", nargs=-1, metavar="[ADDRESS|BLOCK|FILE]...")
@click.option("--adapter", default="snmp", show_default=True, help="Adapter of new elements.")
@click.option("--credentials", multiple=True, help="Name of credentials; several are tried.")
@click.option("--option", "options", multiple=True, help="NAME=VALUE for the adapter; repeatable.")
@click.option("--place", default="", help="Id of the place where new elements are.")
@click.option("--tenant", default="", help="Whose inventory; default: the default tenant.")
@click.option("--at-once", default=64, show_default=True, help="Elements that are read at once.")
@click.option("--uri", default="", help="MongoDB to write into; default: TMF_MONGODB_URI.")
@_data_dir_option
@_report_start_errors
def discover(  # noqa: PLR0913, PLR0917
    targets: tuple[str, ...],
    adapter: str,
    credentials: tuple[str, ...],
    options: tuple[str, ...],
    place: str,
    tenant: str,
    at_once: int,
    uri: str,
    data_dir: Path | None,
) -> None:
    """Look at network elements and bring the resource inventory up to date.

    A target is an address or host name (also with :port), a range (198.18.0.1-198.18.0.9), a block
    (198.18.0.0/24) or a file of such lines; a line may be a JSON object with address, adapter,
    credentials, options and place. Without any, the elements of the inventory are looked at again.
    The exit status is 1 if one that was named does not answer, refuses or is in doubt.
    """
    from tmf_apis.bulk_load.command import open_engine  # noqa: PLC0415
    from tmf_apis.reconciliation import command  # noqa: PLC0415
    from tmf_apis.rest.pipeline.repository import RepositoryFactory  # noqa: PLC0415

    settings = _read_settings(data_dir)
    if uri:
        settings = dataclasses.replace(settings, mongodb_uri=uri)
    configure_logging("ERROR")
    with open_engine(settings) as made:
        desk = RepositoryFactory(made.writer, "tmf-discover").for_tenant(
            tenant or settings.default_tenant
        )
        status = command.discover(
            desk, settings.credentials_file, targets, adapter=adapter, credentials=credentials,
            options=options, place=place, concurrency=max(1, at_once),
        )  # fmt: skip
    sys.exit(status)


@main.command()
@click.argument("elements", nargs=-1, metavar="[ELEMENT]...")
@click.option(
    "--remedy",
    default="",
    type=click.Choice(["", "correctNetwork", "acceptIntoInventory", "openTask"]),
    help="What to do about each difference that it can be done about; default: nothing.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--tenant", default="", help="Whose network; default: the default tenant.")
@click.option("--at-once", default=64, show_default=True, help="Elements that are read at once.")
@click.option("--uri", default="", help="MongoDB to look into; default: TMF_MONGODB_URI.")
@_data_dir_option
@_report_start_errors
def audit(  # noqa: PLR0913, PLR0917
    elements: tuple[str, ...],
    remedy: str,
    tenant: str,
    at_once: int,
    uri: str,
    data_dir: Path | None,
    *,
    as_json: bool,
) -> None:
    """Compare what services say with what ELEMENTs (ids or names; default: all) have.

    Nothing is changed unless a remedy is named. The exit status is 1 if there are differences that
    are not resolved, or elements that do not answer.
    """
    from tmf_apis.bulk_load.command import open_engine  # noqa: PLC0415
    from tmf_apis.reconciliation import command  # noqa: PLC0415
    from tmf_apis.rest.pipeline.repository import RepositoryFactory  # noqa: PLC0415

    settings = _read_settings(data_dir)
    if uri:
        settings = dataclasses.replace(settings, mongodb_uri=uri)
    configure_logging("ERROR")
    with open_engine(settings) as made:
        desk = RepositoryFactory(made.writer, "tmf-audit").for_tenant(
            tenant or settings.default_tenant
        )
        ways = command.element_connections(settings.credentials_file, made.database)
        status = command.audit(
            desk, ways, elements, remedy=remedy, as_json=as_json, concurrency=max(1, at_once),
        )  # fmt: skip
    sys.exit(status)


class _DefaultRunGroup(click.Group):
    """A group whose options without a command are those of ``run``."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put ``run`` first where no command is named."""
        named = args and (args[0] in self.commands or args[0] in ctx.help_option_names)
        return super().parse_args(ctx, args if named else ["run", *args])


@main.group(cls=_DefaultRunGroup)
def demo() -> None:
    """Run a demo operator and tell its story (`tmf demo run`), or write its data to files."""


@demo.command("data")
@click.option("--seed", default=620, show_default=True, help="Which operator.")
@click.option("--at", type=click.DateTime(), help="What dates count from; default: midnight, UTC.")
@click.option(
    "--out",
    default=Path("demo-data"),
    show_default=True,
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder for the files.",
)
def demo_data(seed: int, at: datetime | None, out: Path) -> None:
    """Write the demo operator as NDJSON, a file a kind, to be loaded by `tmf load`."""
    from tmf_apis.demo.files import write_files  # noqa: PLC0415

    now = (at or datetime.now(UTC)).replace(tzinfo=UTC)
    if at is None:
        now = now.replace(hour=0, minute=0, second=0, microsecond=0)
    for kind, count in write_files(seed, now, out).items():
        click.echo(f"{count:6}  {out / kind}.ndjson")


@demo.command("run")
@click.option("--port", default=8620, show_default=True, help="TCP port; 0 for a free one.")
@click.option("--exit", "leave", is_flag=True, help="End after the story instead of serving on.")
@click.option("--simulated", is_flag=True, help="Do not try for a real gateway.")
@_data_dir_option
@_report_start_errors
def demo_run(
    port: int,
    data_dir: Path | None,
    *,
    leave: bool,
    simulated: bool,
) -> None:
    """Serve the demo operator and tell the story of an order and a fault, step by step."""
    from tmf_apis.demo.walkthrough import run_walkthrough  # noqa: PLC0415

    sys.exit(
        run_walkthrough(
            _read_settings(data_dir), port=port, exit_when_done=leave, real=not simulated
        )
    )
