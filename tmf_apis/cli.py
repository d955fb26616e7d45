"""The command ``tmf``."""

# Each command imports its modules when it runs, so that `tmf --help` stays fast.
# ruff: noqa: PLC0415

import dataclasses
import sys
import warnings
from datetime import UTC, datetime
from pathlib import Path

import click

from tmf_apis.command_groups import DefaultRunGroup, LazyGroup
from tmf_apis.command_options import (
    data_dir_option,
    number_option,
    read_server_settings,
    read_settings,
    report_start_errors,
)
from tmf_apis.json_logging import configure_logging
from tmf_apis.setting_addresses import LAST_PORT
from tmf_apis.setting_parsers import LARGEST

# connexion 3.3 imports starlette's test client, which warns about httpx. The filter is set before
# any command is imported; lazy commands are imported before ``main`` runs.
warnings.filterwarnings("ignore", "Using .httpx. with .starlette")

#: Longest value of a setting that is printed beside its description, in characters.
_LONGEST_VALUE = 60


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="tmf-apis")
def main() -> None:
    """TM Forum Open APIs on MongoDB, connected to network elements."""


@main.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port",
    default=8620,
    show_default=True,
    type=click.IntRange(0, LAST_PORT),
    help="TCP port; 0 for a free one.",
)
@data_dir_option
@click.option("--demo", is_flag=True, help="Load a demo operator into an empty database first.")
@click.option(
    "--tls-cert", default="", help="TLS certificate and chain (PEM); default: TMF_TLS_CERT."
)
@click.option("--tls-key", default="", help="Its private key (PEM); default: TMF_TLS_KEY.")
@click.option(
    "--tls-client-ca",
    default="",
    help="Authorities of client certificates (PEM); default: TMF_TLS_CLIENT_CA.",
)
@click.option(
    "--processes",
    type=click.IntRange(1),
    help="Processes that answer requests, on one port; default: TMF_PROCESSES.",
)
@click.option(
    "--workers",
    type=click.IntRange(0),
    help="Workers for events, orders and alarms; default: TMF_WORKERS.",
)
@report_start_errors()
def serve(  # noqa: PLR0913, PLR0917
    host: str,
    port: int,
    data_dir: Path | None,
    tls_cert: str,
    tls_key: str,
    tls_client_ca: str,
    processes: int | None,
    workers: int | None,
    *,
    demo: bool,
) -> None:
    """Serve the APIs with all processes that they need, until stopped."""
    from tmf_apis.demo import load_demo_data
    from tmf_apis.process_server import ProcessServer
    from tmf_apis.server import Server

    settings = read_server_settings(data_dir)
    settings = dataclasses.replace(
        settings,
        tls_cert=tls_cert or settings.tls_cert,
        tls_key=tls_key or settings.tls_key,
        tls_client_ca=tls_client_ca or settings.tls_client_ca,
        processes=processes or settings.processes,
        workers=settings.workers if workers is None else workers,
    )
    if settings.processes > 1:
        sys.exit(ProcessServer(settings, host=host, port=port, demo=demo).run())
    load_data = load_demo_data if demo else None
    sys.exit(Server(settings, host=host, port=port, load_data=load_data).run())


@main.command("serve-process", hidden=True)
@click.option("--number", required=True, type=int)
@click.option("--socket", "socket_file", required=True, type=int)
@click.option("--memory", "memory_file", required=True, type=int)
@click.option("--metrics", "metrics_file", default=-1)
@click.option("--restart", is_flag=True)
@click.option("--demo", is_flag=True)
def serve_process(  # noqa: PLR0913
    *,
    number: int,
    socket_file: int,
    memory_file: int,
    metrics_file: int,
    restart: bool,
    demo: bool,
) -> None:
    """Answer requests as one of the processes of `tmf serve --processes`, which starts it."""
    from tmf_apis.demo import load_demo_data
    from tmf_apis.http_process import HttpProcess, Inheritance

    settings = read_settings()
    configure_logging(settings.log_level, http_process=number)
    inheritance = Inheritance(
        number=number,
        socket=socket_file,
        memory=memory_file,
        metrics=metrics_file,
        is_restart=restart,
    )
    sys.exit(HttpProcess(settings, inheritance, load_demo_data if demo else None).run())


@main.command()
@report_start_errors()
def work() -> None:
    """Deliver events, fulfil orders and receive notifications; `tmf serve` starts a worker."""
    from tmf_apis import worker

    worker.run(read_server_settings())


@main.command()
def settings() -> None:
    """Print all settings with value, unit and description."""
    for heading, rows in read_settings().grouped_table().items():
        click.echo(f"# {heading}")
        for name, value, help in rows:
            if len(value) > _LONGEST_VALUE:
                click.echo(f"{name:24} {'':28} {help}:\n  {value}")
            else:
                click.echo(f"{name:24} {value:28} {help}")
        click.echo()


@main.command()
@click.option("--subject", default="someone", show_default=True, help="Subject of the token.")
@click.option("--scope", "scopes", multiple=True, help="A scope; repeatable. Default: all scopes.")
@click.option("--tenant", default="", help="Tenant of the token; default: the default tenant.")
@click.option(
    "--party", "parties", multiple=True, help="Party for which the client acts; repeatable."
)
@click.option(
    "--hours",
    default="12",
    show_default=True,
    callback=number_option(float, 0.001, LARGEST["hours"]),
    help="Lifetime of the token in hours.",
)
@data_dir_option
@report_start_errors()
def token(  # noqa: PLR0913, PLR0917
    subject: str,
    scopes: tuple[str, ...],
    tenant: str,
    parties: tuple[str, ...],
    hours: float,
    data_dir: Path | None,
) -> None:
    """Print a bearer token for evaluation, signed with the server's local key."""
    from tmf_apis.audit_log.spool import spool_token
    from tmf_apis.security import local_keys
    from tmf_apis.store.managed_process import prepare_data_directory
    from tmf_apis.token_scopes import chosen_scopes

    settings = read_settings(data_dir)
    prepare_data_directory(settings.data_dir)
    scopes = chosen_scopes(settings, scopes)
    if not local_keys.has_keys(settings.data_dir):
        click.echo(
            f"{settings.data_dir} has no signing key yet; made a new one: only servers on this"
            " data directory accept the token",
            err=True,
        )
    text = local_keys.issue_token(
        settings,
        subject=subject,
        scopes=scopes,
        tenant=tenant,
        parties=parties or None,
        hours=hours,
    )
    spool_token(settings.data_dir, tenant or settings.default_tenant, subject, parties, hours)
    click.echo(text)


@main.command("load")
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@click.option(
    "--kind", default="", help="Kind of resources without a known @type; default: the file's name."
)
@click.option("--version", default="v5", type=click.Choice(["v4", "v5"]), show_default=True,
              help="API version of the files.")  # fmt: skip
@click.option("--tenant", default="", help="Tenant of the resources; default: the default tenant.")
@click.option(
    "--replace", is_flag=True, help="Overwrite existing resources instead of skipping them."
)
@click.option("--uri", default="", help="MongoDB to load into; default: TMF_MONGODB_URI.")
@data_dir_option
@report_start_errors()
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
    """Load resources from FILEs: NDJSON or a JSON array, plain or gzip; - is standard input.

    Existing resources are skipped, so you can repeat an interrupted load to continue it. Rejected
    lines are reported and written to FILE.rejected.ndjson; the exit status is then 1.
    """
    from tmf_apis.bulk_load import command

    for name in files:
        if name != command.STDIN and not Path(name).is_file():
            raise click.ClickException(f"{name}: there is no such file")
    settings = read_settings(data_dir, uri)
    configure_logging("WARNING")
    rejected_count = command.run(
        settings, files, kind=kind, version=version, tenant=tenant, overwrite=replace
    )
    sys.exit(1 if rejected_count else 0)


@main.command()
@click.option("--category", "categories", multiple=True, help="Only this category; repeatable.")
@click.option("--place", "places", multiple=True, help="Only at this place (id); repeatable.")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1), help="Most rows.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--tenant", default="", help="Tenant of the network; default: the default tenant.")
@click.option("--uri", default="", help="MongoDB to read; default: TMF_MONGODB_URI.")
@data_dir_option
@report_start_errors()
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
    """Show utilisation and expected exhaustion of the network, the most urgent first."""
    from tmf_apis.bulk_load.command import open_engine
    from tmf_apis.capacity import command
    from tmf_apis.capacity.records import CapacityQuery

    settings = read_settings(data_dir, uri)
    configure_logging("WARNING")
    query = CapacityQuery(categories, places, limit)
    with open_engine(settings) as engine:
        tenant = tenant or settings.default_tenant
        command.run(engine.database, settings, tenant, query, as_json=as_json)


@main.command()
@click.argument("targets", nargs=-1, metavar="[ADDRESS|NETWORK|FILE]...")
@click.option("--adapter", default="snmp", show_default=True, help="Adapter of new elements.")
@click.option(
    "--credentials", multiple=True, help="Name of credentials; repeatable, all are tried."
)
@click.option("--option", "options", multiple=True, help="NAME=VALUE for the adapter; repeatable.")
@click.option("--place", default="", help="Id of the place of new elements.")
@click.option("--tenant", default="", help="Tenant of the inventory; default: the default tenant.")
@click.option(
    "--at-once", default=64, show_default=True, help="Elements that are read concurrently."
)
@click.option("--uri", default="", help="MongoDB to write into; default: TMF_MONGODB_URI.")
@data_dir_option
@report_start_errors()
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
    """Read network elements and update the resource inventory.

    A target is an address or host name (also with :port), a range (198.18.0.1-198.18.0.9), a
    network (198.18.0.0/24) or a file of such lines; a line may be a JSON object with address,
    adapter, credentials, options and place. Without targets, the elements of the inventory are read
    again. The exit status is 1 if a named element does not answer, refuses access or is ambiguous.
    """
    from tmf_apis.bulk_load.command import open_engine
    from tmf_apis.inventory.discovery_records import DiscoveryRecords
    from tmf_apis.reconciliation import command
    from tmf_apis.rest.pipeline.repository import RepositoryFactory

    settings = read_settings(data_dir, uri)
    configure_logging("ERROR")
    with open_engine(settings) as engine:
        repository = RepositoryFactory(engine.writer, "tmf-discover").for_tenant(
            tenant or settings.default_tenant
        )
        status = command.discover(
            repository,
            settings.credentials_file,
            targets,
            adapter=adapter,
            credentials=credentials,
            options=options,
            place=place,
            concurrency=max(1, at_once),
            on_stored=DiscoveryRecords(engine.database).add,
        )
    sys.exit(status)


@main.command()
@click.argument("elements", nargs=-1, metavar="[ELEMENT]...")
@click.option(
    "--remedy",
    default="",
    type=click.Choice(["", "correctNetwork", "acceptIntoInventory", "openTask"]),
    help="Remedy for each difference that allows it; default: none.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--tenant", default="", help="Tenant of the network; default: the default tenant.")
@click.option(
    "--at-once", default=64, show_default=True, help="Elements that are read concurrently."
)
@click.option("--uri", default="", help="MongoDB to read; default: TMF_MONGODB_URI.")
@data_dir_option
@report_start_errors()
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
    """Compare the services with the configuration of ELEMENTs (ids or names; default: all).

    Without a remedy, nothing is changed. The exit status is 1 if differences remain or if elements
    do not answer.
    """
    from tmf_apis.bulk_load.command import open_engine
    from tmf_apis.reconciliation import command
    from tmf_apis.rest.pipeline.repository import RepositoryFactory

    settings = read_settings(data_dir, uri)
    configure_logging("ERROR")
    with open_engine(settings) as engine:
        repository = RepositoryFactory(engine.writer, "tmf-audit").for_tenant(
            tenant or settings.default_tenant
        )
        connections = command.element_connections(settings.credentials_file, engine.database)
        status = command.audit(
            repository,
            connections,
            elements,
            remedy=remedy,
            as_json=as_json,
            concurrency=max(1, at_once),
        )
    sys.exit(status)


@main.group(cls=DefaultRunGroup)
def demo() -> None:
    """Run a demo operator with a walkthrough (`tmf demo run`), or write its data to files."""


@demo.command("data")
@click.option("--seed", default=620, show_default=True, help="Seed of the generated data.")
@click.option(
    "--at", type=click.DateTime(), help="Reference time of the dates, UTC; default: midnight today."
)
@click.option(
    "--out",
    default=Path("demo-data"),
    show_default=True,
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder for the files.",
)
def demo_data(seed: int, at: datetime | None, out: Path) -> None:
    """Write the demo data as NDJSON, one file for each kind; load it with `tmf load`."""
    from tmf_apis.demo.files import write_files

    now = (at or datetime.now(UTC)).replace(tzinfo=UTC)
    if at is None:
        now = now.replace(hour=0, minute=0, second=0, microsecond=0)
    for kind, count in write_files(seed, now, out).items():
        click.echo(f"{count:6}  {out / kind}.ndjson")


@demo.command("run")
@click.option(
    "--port",
    default=8620,
    show_default=True,
    type=click.IntRange(0, LAST_PORT),
    help="TCP port; 0 for a free one.",
)
@click.option(
    "--exit",
    "exit_when_done",
    is_flag=True,
    help="End after the walkthrough instead of serving on.",
)
@click.option(
    "--simulated", is_flag=True, help="Use the simulated gateway even if a real one is available."
)
@data_dir_option
@report_start_errors()
def demo_run(
    port: int,
    data_dir: Path | None,
    *,
    exit_when_done: bool,
    simulated: bool,
) -> None:
    """Serve the demo operator and walk through an order and a fault, step by step."""
    from tmf_apis.demo.walkthrough import run_walkthrough

    sys.exit(
        run_walkthrough(
            read_settings(data_dir), port=port, exit_when_done=exit_when_done, real=not simulated
        )
    )
