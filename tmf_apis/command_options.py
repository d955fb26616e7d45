"""Options and settings that the commands share."""

import dataclasses
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from tmf_apis.settings import Settings
from tmf_apis.store.process import CannotStart

Command = Callable[..., Any]
Decorator = Callable[[Command], Command]

data_dir_option = click.option(
    "--data-dir",
    type=click.Path(path_type=Path, file_okay=False),
    help="Directory of the embedded database and of files; default: TMF_DATA_DIR.",
)


def with_options(*options: Decorator) -> Decorator:
    """Return a decorator that adds options to a command; the last one is first in its help."""

    def decorate(command: Command) -> Command:
        for option in options:
            command = option(command)
        return command

    return decorate


def read_settings(data_dir: Path | None = None, mongodb_uri: str = "") -> Settings:
    """Read the settings from the environment; options of the command take precedence.

    Raises:
        click.ClickException: A value is invalid; the message names the variable.
    """
    try:
        settings = Settings.from_environment()
    except ValueError as error:
        raise click.ClickException(str(error)) from None
    return dataclasses.replace(
        settings,
        data_dir=data_dir or settings.data_dir,
        mongodb_uri=mongodb_uri or settings.mongodb_uri,
    )


@contextmanager
def report_start_errors() -> Iterator[None]:
    """Report ``CannotStart`` as a message instead of a traceback; also a decorator."""
    try:
        yield
    except CannotStart as error:
        raise click.ClickException(str(error)) from None
