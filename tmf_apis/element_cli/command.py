"""``tmf adapters`` and ``tmf element``: elements from the command line."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import click

from adapters import registry
from adapters.credentials import Credentials
from adapters.values import Intent
from tmf_apis.element_cli import output, units
from tmf_apis.element_cli.session import EXIT_WRONG_STATE, ElementSession, exit_on_error
from tmf_apis.element_cli.transaction_store import TransactionNotFound, TransactionStore
from tmf_apis.settings import Settings
from tmf_apis.store.process import CannotStart

Command = Callable[..., Any]

_ELEMENT_OPTIONS = (
    click.option("--tenant", default="", help="Whose inventory; default: the default tenant."),
    click.option("--uri", default="", help="MongoDB of the inventory; default: TMF_MONGODB_URI."),
    click.option(
        "--data-dir",
        type=click.Path(path_type=Path, file_okay=False),
        help="Directory of the embedded database and of transactions; default: TMF_DATA_DIR.",
    ),
    click.option("--option", "options", multiple=True, help="NAME=VALUE for the adapter."),
    click.option("--credentials", default="", help="Name of the credentials, with --address."),
    click.option("--adapter", default="snmp", show_default=True, help="With --address."),
    click.option("--address", default="", help="An element that is not in the inventory."),
    click.argument("id", required=False, default=""),
)
_INTENT_OPTIONS = (
    click.option("--gone", is_flag=True, help="The service shall be off the port."),
    click.option("--set", "values", multiple=True, metavar="NAME=VALUE",
                 help="A setting, such as downstream=100M or enabled=off; repeatable."),
    click.option("--port", required=True, help="Port (or subscriber) on the element."),
    click.option("--service", required=True, help="Id of the service."),
)  # fmt: skip
_json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def _with_options(
    options: tuple[Callable[[Command], Command], ...],
) -> Callable[[Command], Command]:
    def decorate(command: Command) -> Command:
        for option in options:
            command = option(command)
        return command

    return decorate


def _load_settings(data_dir: Path | None) -> Settings:
    try:
        settings = Settings.from_environment()
    except ValueError as error:
        raise click.ClickException(str(error)) from None
    return replace(settings, data_dir=data_dir) if data_dir else settings


@contextmanager
def _open_session(data_dir: Path | None, **selector: Any) -> Iterator[ElementSession]:  # noqa: ANN401
    """Give a console before the element that the options name."""
    from tmf_apis.element_cli.selection import ElementSelector, select_element  # noqa: PLC0415 - slow; help needs none

    settings = _load_settings(data_dir)
    try:
        with (
            exit_on_error(),
            select_element(settings, ElementSelector(**selector)) as (target, leasing),
        ):
            console = ElementSession(target, Credentials(settings.credentials_file), leasing)
            yield console
    except CannotStart as error:
        raise click.ClickException(str(error)) from None
    if console.exit_code:
        raise click.exceptions.Exit(console.exit_code)


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
    """List the adapters that are installed, what they can do, and what is wrong with them."""
    found = registry.installed_adapters()
    if as_json:
        _print_json([asdict(one) for one in found])
    else:
        output.print_adapters(found)
    if any(one.problem for one in found):
        raise click.exceptions.Exit(1)


@click.group("element")
def group() -> None:
    """Look at an element, or change it by hand, with every change shown before and kept after.

    ID is the id or the name of the element in the inventory; --address names one that is not there.

    Exit status: 0 done, 1 refused or not possible, 2 wrong command line, 3 not as asked or not
    found, 4 no answer, 5 changed by somebody else, 6 done in part.
    """


@group.command()
@_with_options(_ELEMENT_OPTIONS)
@_json_option
def probe(*, as_json: bool, **element_options: Any) -> None:  # noqa: ANN401
    """Show what the element is."""
    with _open_session(**element_options) as console:
        facts = console.query(lambda adapter: adapter.probe())
        if as_json:
            _print_json(asdict(facts))
        else:
            output.print_facts(facts)


@group.command()
@_with_options(_ELEMENT_OPTIONS)
@_json_option
def inventory(*, as_json: bool, **element_options: Any) -> None:  # noqa: ANN401
    """Show what the element consists of: ports, cards, addresses, neighbours."""
    with _open_session(**element_options) as console:
        found = console.query(lambda adapter: adapter.inventory())
        if as_json:
            _print_json(asdict(found))
        else:
            output.print_inventory(found)


@group.command()
@_with_options(_ELEMENT_OPTIONS)
@click.option("--service", default="", help="Only this one.")
@_json_option
def read(service: str, *, as_json: bool, **element_options: Any) -> None:  # noqa: ANN401
    """Show the services that are on the element."""
    with _open_session(**element_options) as console:
        if service:
            one = console.query(lambda adapter: adapter.read(service))
            found = [one] if one else []
        else:
            found = console.query(lambda adapter: adapter.services())
        if as_json:
            _print_json([asdict(one) for one in found])
        else:
            output.print_services(found)
        if service and not found:
            click.echo(f"no service {service} on {console.target.name}", err=True)
            console.exit_code = EXIT_WRONG_STATE


@group.command()
@_with_options(_ELEMENT_OPTIONS)
@_with_options(_INTENT_OPTIONS)
@_json_option
def plan(
    service: str, port: str, values: tuple[str, ...], *, gone: bool, as_json: bool,
    **element_options: Any,  # noqa: ANN401
) -> None:  # fmt: skip
    """Show what would be changed; nothing is touched."""
    intent = _intent(service, port, values, gone=gone)
    with _open_session(**element_options) as console:
        if as_json:
            _print_json(asdict(console.query(lambda adapter: adapter.plan(intent))))
        else:
            console.plan(intent)


@group.command()
@_with_options(_ELEMENT_OPTIONS)
@_with_options(_INTENT_OPTIONS)
@click.option("--yes", is_flag=True, help="Do not ask.")
def apply(
    service: str, port: str, values: tuple[str, ...], *, gone: bool, yes: bool,
    **element_options: Any,  # noqa: ANN401
) -> None:  # fmt: skip
    """Show what will be changed, ask, change it, read it back, and keep it for a rollback."""
    intent = _intent(service, port, values, gone=gone)
    records = TransactionStore(_load_settings(element_options["data_dir"]).data_dir)
    with _open_session(**element_options) as console:
        console.apply(
            intent, records, confirm=lambda: yes or click.confirm(f"change {console.target.name}?")
        )


@group.command()
@_with_options(_ELEMENT_OPTIONS)
@_with_options(_INTENT_OPTIONS)
def verify(
    service: str, port: str, values: tuple[str, ...], *, gone: bool,
    **element_options: Any,  # noqa: ANN401
) -> None:  # fmt: skip
    """Show whether the element is as asked, from a fresh read; exit status 3 if it is not."""
    intent = _intent(service, port, values, gone=gone)
    with _open_session(**element_options) as console:
        console.verify(intent)


@group.command()
@click.argument("transaction")
@click.option(
    "--data-dir", type=click.Path(path_type=Path, file_okay=False), help="Where it was kept."
)
@click.option("--yes", is_flag=True, help="Do not ask.")
def rollback(transaction: str, data_dir: Path | None, *, yes: bool) -> None:
    """Take back a transaction of `tmf element apply`, last change first."""
    settings = _load_settings(data_dir)
    records = TransactionStore(settings.data_dir)
    try:
        record = records.get(transaction)
    except TransactionNotFound as error:
        raise click.ClickException(str(error)) from None
    console = ElementSession(record.target, Credentials(settings.credentials_file), None)
    output.print_steps(record.transaction.inverse)
    if not yes and not click.confirm(f"change {record.target.name} back?"):
        click.echo("nothing was touched")
        raise click.exceptions.Exit(1)
    with exit_on_error():
        console.roll_back(record, records)


@group.command()
@click.option(
    "--data-dir", type=click.Path(path_type=Path, file_okay=False), help="Where they are kept."
)
def transactions(data_dir: Path | None) -> None:
    """List the transactions of `tmf element apply`, the latest first."""
    output.print_transactions(TransactionStore(_load_settings(data_dir).data_dir).all())
