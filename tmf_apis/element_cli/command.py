"""``tmf adapters`` and ``tmf element``: manage network elements from the command line."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from adapters import registry
from adapters.credentials import Credentials
from adapters.values import Intent
from tmf_apis.command_options import data_dir_option, read_settings, with_options
from tmf_apis.element_cli import output, units
from tmf_apis.element_cli.session import EXIT_WRONG_STATE, ElementSession, exit_on_error
from tmf_apis.element_cli.transaction_store import TransactionNotFound, TransactionStore
from tmf_apis.store.process import CannotStart

_ELEMENT_OPTIONS = (
    click.option(
        "--tenant", default="", help="Tenant of the inventory; default: the default tenant."
    ),
    click.option("--uri", default="", help="MongoDB of the inventory; default: TMF_MONGODB_URI."),
    data_dir_option,
    click.option("--option", "options", multiple=True, help="NAME=VALUE for the adapter."),
    click.option("--credentials", default="", help="Name of the credentials, with --address."),
    click.option(
        "--adapter", default="snmp", show_default=True, help="Name of the adapter, with --address."
    ),
    click.option("--address", default="", help="An element that is not in the inventory."),
    click.argument("id", required=False, default=""),
)
_INTENT_OPTIONS = (
    click.option("--gone", is_flag=True, help="Remove the service from the port."),
    click.option("--set", "values", multiple=True, metavar="NAME=VALUE",
                 help="A setting, such as downstream=100M or enabled=off; repeatable."),
    click.option("--port", required=True, help="Port (or subscriber) on the element."),
    click.option("--service", required=True, help="Id of the service."),
)  # fmt: skip
_json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@contextmanager
def _open_session(data_dir: Path | None, **selector: Any) -> Iterator[ElementSession]:  # noqa: ANN401
    """Open a session with the element that the options select."""
    from tmf_apis.element_cli.selection import (  # noqa: PLC0415 - slow, and not needed for help
        ElementSelector,
        select_element,
    )

    settings = read_settings(data_dir)
    try:
        with (
            exit_on_error(),
            select_element(settings, ElementSelector(**selector)) as (target, leases),
        ):
            session = ElementSession(target, Credentials(settings.credentials_file), leases)
            yield session
    except CannotStart as error:
        raise click.ClickException(str(error)) from None
    if session.exit_code:
        raise click.exceptions.Exit(session.exit_code)


def _intent(service: str, port: str, values: tuple[str, ...], *, gone: bool) -> Intent:
    try:
        settings = dict(map(units.parse_setting, values))
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    return Intent(service, port, settings, present=not gone)


def _print_json(value: object) -> None:
    click.echo(json.dumps(value, indent=1, default=str, ensure_ascii=False))


@click.command("adapters")
@_json_option
def adapters(*, as_json: bool) -> None:
    """List the installed adapters with their capabilities and problems."""
    installed = registry.installed_adapters()
    if as_json:
        _print_json([asdict(adapter) for adapter in installed])
    else:
        output.print_adapters(installed)
    if any(adapter.problem for adapter in installed):
        raise click.exceptions.Exit(1)


@click.group("element")
def group() -> None:
    """Inspect or change an element.

    Each change is shown before it is made, and can be rolled back afterwards.

    ID is the id or name of the element in the inventory; --address names an element that is not in
    the inventory.

    Exit status: 0 done, 1 refused or not possible, 2 wrong command line, 3 not as expected or
    not found, 4 no answer, 5 changed by somebody else, 6 done in part.
    """


@group.command()
@with_options(*_ELEMENT_OPTIONS)
@_json_option
def probe(*, as_json: bool, **element_options: Any) -> None:  # noqa: ANN401
    """Show the name, model and software of the element."""
    with _open_session(**element_options) as session:
        facts = session.query(lambda adapter: adapter.probe())
        if as_json:
            _print_json(asdict(facts))
        else:
            output.print_facts(facts)


@group.command()
@with_options(*_ELEMENT_OPTIONS)
@_json_option
def inventory(*, as_json: bool, **element_options: Any) -> None:  # noqa: ANN401
    """Show the ports, cards, addresses and neighbours of the element."""
    with _open_session(**element_options) as session:
        inventory = session.query(lambda adapter: adapter.inventory())
        if as_json:
            _print_json(asdict(inventory))
        else:
            output.print_inventory(inventory)


@group.command()
@with_options(*_ELEMENT_OPTIONS)
@click.option("--service", default="", help="Show only this service.")
@_json_option
def read(service: str, *, as_json: bool, **element_options: Any) -> None:  # noqa: ANN401
    """Show the services of the element."""
    with _open_session(**element_options) as session:
        if service:
            observed = session.query(lambda adapter: adapter.read(service))
            services = [observed] if observed else []
        else:
            services = session.query(lambda adapter: adapter.services())
        if as_json:
            _print_json([asdict(observed) for observed in services])
        else:
            output.print_services(services)
        if service and not services:
            click.echo(f"no service {service} on {session.target.name}", err=True)
            session.exit_code = EXIT_WRONG_STATE


@group.command()
@with_options(*_ELEMENT_OPTIONS)
@with_options(*_INTENT_OPTIONS)
@_json_option
def plan(
    service: str, port: str, values: tuple[str, ...], *, gone: bool, as_json: bool,
    **element_options: Any,  # noqa: ANN401
) -> None:  # fmt: skip
    """Show what would be changed, without changing it."""
    intent = _intent(service, port, values, gone=gone)
    with _open_session(**element_options) as session:
        if as_json:
            _print_json(asdict(session.query(lambda adapter: adapter.plan(intent))))
        else:
            session.plan(intent)


@group.command()
@with_options(*_ELEMENT_OPTIONS)
@with_options(*_INTENT_OPTIONS)
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
def apply(
    service: str, port: str, values: tuple[str, ...], *, gone: bool, yes: bool,
    **element_options: Any,  # noqa: ANN401
) -> None:  # fmt: skip
    """Show the changes, ask for confirmation, apply and verify them, and record them."""
    intent = _intent(service, port, values, gone=gone)
    records = TransactionStore(read_settings(element_options["data_dir"]).data_dir)
    with _open_session(**element_options) as session:
        session.apply(
            intent, records, confirm=lambda: yes or click.confirm(f"change {session.target.name}?")
        )


@group.command()
@with_options(*_ELEMENT_OPTIONS)
@with_options(*_INTENT_OPTIONS)
def verify(
    service: str, port: str, values: tuple[str, ...], *, gone: bool,
    **element_options: Any,  # noqa: ANN401
) -> None:  # fmt: skip
    """Compare the element with the settings; exit status 3 if they differ."""
    intent = _intent(service, port, values, gone=gone)
    with _open_session(**element_options) as session:
        session.verify(intent)


@group.command()
@click.argument("transaction")
@click.option(
    "--data-dir",
    type=click.Path(path_type=Path, file_okay=False),
    help="Data directory with the transaction; default: TMF_DATA_DIR.",
)
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
def rollback(transaction: str, data_dir: Path | None, *, yes: bool) -> None:
    """Roll back a transaction of `tmf element apply`, last change first."""
    settings = read_settings(data_dir)
    records = TransactionStore(settings.data_dir)
    try:
        record = records.get(transaction)
    except TransactionNotFound as error:
        raise click.ClickException(str(error)) from None
    session = ElementSession(record.target, Credentials(settings.credentials_file), None)
    output.print_steps(record.transaction.inverse)
    if not yes and not click.confirm(f"roll back {record.target.name}?"):
        click.echo("nothing was changed")
        raise click.exceptions.Exit(1)
    with exit_on_error():
        session.roll_back(record, records)


@group.command()
@click.option(
    "--data-dir",
    type=click.Path(path_type=Path, file_okay=False),
    help="Data directory with the transactions; default: TMF_DATA_DIR.",
)
def transactions(data_dir: Path | None) -> None:
    """List the transactions of `tmf element apply`, the latest first."""
    output.print_transactions(TransactionStore(read_settings(data_dir).data_dir).all())
