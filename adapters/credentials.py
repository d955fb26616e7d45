"""Credentials by name: a target contains the name of its credentials, never the secret."""

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path

from adapters.errors import Misconfigured

#: ``TMF_CREDENTIAL_<NAME>`` contains one secret as a JSON object and overrides the file.
VARIABLE_PREFIX = "TMF_CREDENTIAL_"
#: Members of credentials that say where they may be used; all others are secrets.
_SCOPE_MEMBERS = ("tenants", "networks")


class Secret(Mapping[str, str]):
    """The secret values of an element's credentials; its ``repr`` shows the keys only."""

    __slots__ = ("_values",)

    def __init__(self, values: Mapping[str, str]) -> None:
        self._values = dict(values)

    def __getitem__(self, key: str) -> str:
        return self._values[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return f"Secret({', '.join(f'{key}=***' for key in self)})"


@dataclass(frozen=True, slots=True)
class CredentialEntry:
    """The credentials with one name.

    Attributes:
        secret: The secret values.
        tenants: The tenants whose elements may use them, "*" for all; None: not stated.
        networks: The networks in which they may be used; None: not stated.
    """

    secret: Secret
    tenants: tuple[str, ...] | None = None
    networks: tuple[IPv4Network | IPv6Network, ...] | None = None


class Credentials:
    """The operator's secrets, from the environment or from a JSON file.

    The file contains one object: name -> object of text values, which may also have the lists
    ``tenants`` and ``networks`` (CIDR). It is read at each ``get``, so that secrets can be changed
    at any time.
    """

    def __init__(self, file: Path | str = "", environment: Mapping[str, str] = os.environ) -> None:
        self._file = Path(file) if file else None
        self._environment = environment

    def get(self, name: str, *, element: str = "") -> Secret:
        """Return the secret with a name; see ``entry``."""
        return self.entry(name, element=element).secret

    def entry(self, name: str, *, element: str = "") -> CredentialEntry:
        """Return the credentials with a name; the empty name has an empty secret.

        Args:
            name: Name of the credentials.
            element: Name of the element, for error messages.

        Raises:
            Misconfigured: There are no such credentials, or they are not a JSON object of text
                values.
        """
        if not name:
            return CredentialEntry(Secret({}))
        variable = VARIABLE_PREFIX + name.upper().replace("-", "_")
        if (text := self._environment.get(variable)) is not None:
            return _parse_entry(_parse_json(text, variable, element), variable, element)
        if self._file is None:
            raise Misconfigured(element, f"no credentials {name!r}: set {variable}")
        try:
            text = self._file.read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise Misconfigured(element, f"cannot read the credentials file: {error}") from error
        content = _parse_json(text, "the credentials file", element)
        if not isinstance(content, dict) or name not in content:
            raise Misconfigured(element, f"no credentials {name!r} in the file or in {variable}")
        return _parse_entry(content[name], f"credentials {name!r}", element)


def _parse_entry(content: object, source: str, element: str) -> CredentialEntry:
    if not isinstance(content, dict):
        raise Misconfigured(element, f"{source}: expected a JSON object of text values")
    values = {name: value for name, value in content.items() if name not in _SCOPE_MEMBERS}
    if not all(isinstance(text, str) for text in values.values()):
        raise Misconfigured(element, f"{source}: expected a JSON object of text values")
    tenants, networks = (_parse_list(content, name, source, element) for name in _SCOPE_MEMBERS)
    try:
        parsed = None if networks is None else tuple(map(ip_network, networks))
    except ValueError as error:
        raise Misconfigured(element, f"{source}: networks: {error}") from None
    return CredentialEntry(Secret(values), tenants, parsed)


def _parse_list(
    content: Mapping[str, object], name: str, source: str, element: str
) -> tuple[str, ...] | None:
    value = content.get(name)
    if value is None:
        return None
    if isinstance(value, list) and all(isinstance(text, str) for text in value):
        return tuple(value)
    raise Misconfigured(element, f"{source}: {name}: expected a list of texts")


def _parse_json(text: str, source: str, element: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        # The parser's error contains the text, which is secret.
        raise Misconfigured(element, f"{source}: not JSON") from None
