"""Options and settings that the commands share."""

import dataclasses
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from tmf_apis.json_logging import configure_logging
from tmf_apis.setting_parsers import directory, number
from tmf_apis.settings import Settings
from tmf_apis.store.process import CannotStart

Command = Callable[..., Any]
Decorator = Callable[[Command], Command]

log = logging.getLogger(__name__)


def _directory(ctx: click.Context, option: click.Parameter, value: str | None) -> Path | None:  # noqa: ARG001
    """Return the directory that an option names; None: it is not given."""
    try:
        return None if value is None else directory(value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


data_dir_option = click.option(
    "--data-dir",
    type=click.Path(file_okay=False),
    callback=_directory,
    help="Directory of the embedded database and of files; default: TMF_DATA_DIR.",
)


def number_option(
    kind: type[int] | type[float], lowest: float, highest: float
) -> Callable[[click.Context, click.Parameter, str], int | float]:
    """Return a callback of an option that accepts numbers within bounds only."""
    parse = number(kind, lowest, highest)

    def callback(ctx: click.Context, option: click.Parameter, value: str) -> int | float:  # noqa: ARG001
        try:
            return parse(value)
        except ValueError as error:
            raise click.BadParameter(f"{value!r}: {error}") from None

    return callback


def with_options(*options: Decorator) -> Decorator:
    """Return a decorator that adds options to a command; the last one is first in its help."""

    def decorate(command: Command) -> Command:
        for option in options:
            command = option(command)
        return command

    return decorate


def read_settings(data_dir: Path | None = None, mongodb_uri: str = "") -> Settings:
    """Read the settings from the environment; options of the command take precedence.

    A variable that looks like a setting and is none is reported on standard error.

    Raises:
        click.ClickException: A value is invalid; the message names the variable.
    """
    for sentence in Settings.unknown_variables():
        click.echo(f"Warning: {sentence}", err=True)
    return _settings(data_dir, mongodb_uri)


def read_server_settings(data_dir: Path | None = None) -> Settings:
    """Read the settings of a process that logs; configure its log.

    Raises:
        click.ClickException: A value is invalid; the message names the variable.
    """
    settings = _settings(data_dir, "")
    configure_logging(settings.log_level)
    for sentence in Settings.unknown_variables():
        log.warning("%s", sentence)
    return settings


def _settings(data_dir: Path | None, mongodb_uri: str) -> Settings:
    try:
        settings = Settings.from_environment()
    except ValueError as error:
        raise click.ClickException(str(error)) from None
    settings = dataclasses.replace(
        settings,
        data_dir=data_dir or settings.data_dir,
        mongodb_uri=mongodb_uri or settings.mongodb_uri,
    )
    if settings.retention:  # the check loads the contracts, which most commands do not need
        from tmf_apis.retention_kinds import check_retention  # noqa: PLC0415

        with report_start_errors():
            check_retention(settings)
    return settings


@contextmanager
def report_start_errors() -> Iterator[None]:
    """Report ``CannotStart`` as a message instead of a traceback; also a decorator."""
    try:
        yield
    except CannotStart as error:
        raise click.ClickException(str(error)) from None
