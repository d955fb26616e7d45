"""Run ``tmf element`` on a simulated gateway."""

import json

from click.testing import CliRunner

from tmf_apis.cli import main

#: Transactions are stored locally: their commands do not select an element.
WITHOUT_ELEMENT = {"rollback", "transactions"}


class ElementCommands:
    """Runs the commands on a simulated gateway.

    Args:
        gateway: The gateway.
        folder: Folder for the credentials and the data directory.
        monkeypatch: Sets the environment.
    """

    def __init__(self, gateway, folder, monkeypatch):
        credentials = folder / "credentials.json"
        credentials.write_text(json.dumps(gateway.credentials))
        monkeypatch.setenv("TMF_CREDENTIALS_FILE", str(credentials))
        monkeypatch.setenv("TMF_DATA_DIR", str(folder / "data"))
        self._address = "{}:{}".format(*gateway.address)

    def __call__(self, command, *arguments, element=None, answer=None, timeout="20"):
        """Run a command and return its result.

        Args:
            command: Name of the command.
            arguments: Its options, besides those that select the element.
            element: Options that select the element; None: those of the gateway.
            answer: Input of the command.
            timeout: Longest wait for a reply of the gateway, in seconds.
        """
        if element is None:
            element = (
                *("--address", self._address, "--credentials", "gw-hand"),
                *("--option", f"timeout={timeout}", "--option", "retries=0"),
            )
        if command in WITHOUT_ELEMENT:
            element = ()
        return CliRunner().invoke(main, ["element", command, *element, *arguments], input=answer)


def transaction_id(result):
    """Return the id of the transaction that a command printed."""
    lines = result.output.splitlines()
    return next(line for line in lines if line.startswith("transaction ")).split()[1]


def reset_gateway(gateway):
    """Remove the services and faults of a simulated gateway; return the gateway."""
    for port in gateway.ports.values():
        port.tag, port.downstream_kbps, port.upstream_kbps, port.enabled = "", 0, 0, True
    gateway.fault_injection = type(gateway.fault_injection)()
    return gateway
