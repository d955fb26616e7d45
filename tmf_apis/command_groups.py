"""Groups of commands for the command line."""

from importlib import import_module
from typing import ClassVar

import click


class LazyGroup(click.Group):
    """A command group that imports some commands when they are used, so `tmf --help` is fast."""

    #: Module and attribute of the commands.
    lazy_commands: ClassVar = {
        "adapters": ("tmf_apis.element_cli.command", "adapters"),
        "element": ("tmf_apis.element_cli.command", "group"),
        "audit-log": ("tmf_apis.audit_log_commands", "group"),
        "keys": ("tmf_apis.privacy_commands", "keys"),
        "privacy": ("tmf_apis.privacy_commands", "privacy"),
    }

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands."""
        return sorted({*super().list_commands(ctx), *self.lazy_commands})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command by its name."""
        if cmd_name not in self.lazy_commands:
            return super().get_command(ctx, cmd_name)
        module, attribute = self.lazy_commands[cmd_name]
        lazy_command: click.Command = getattr(import_module(module), attribute)
        return lazy_command


class DefaultRunGroup(click.Group):
    """A group whose default command is ``run``."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Insert ``run`` if the arguments name no command."""
        has_command = args and (args[0] in self.commands or args[0] in ctx.help_option_names)
        return super().parse_args(ctx, args if has_command else ["run", *args])
