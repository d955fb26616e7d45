"""Credentials by name: a target contains the name of its credentials, never the secret."""

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from adapters.errors import Misconfigured

#: ``TMF_CREDENTIAL_<NAME>`` contains one secret as a JSON object and overrides the file.
VARIABLE_PREFIX = "TMF_CREDENTIAL_"


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


class Credentials:
    """The operator's secrets, from the environment or from a JSON file.

    The file contains one object: name -> object of text values. It is read at each ``get``, so
    that secrets can be changed at any time.
    """

    def __init__(self, file: Path | str = "", environment: Mapping[str, str] = os.environ) -> None:
        self._file = Path(file) if file else None
        self._environment = environment

    def get(self, name: str, *, element: str = "") -> Secret:
        """Return the secret with a name; the empty name has an empty secret.

        Args:
            name: Name of the credentials.
            element: Name of the element, for error messages.

        Raises:
            Misconfigured: There are no such credentials, or they are not a JSON object of text
                values.
        """
        if not name:
            return Secret({})
        variable = VARIABLE_PREFIX + name.upper().replace("-", "_")
        if (text := self._environment.get(variable)) is not None:
            return self._secret(_parse_json(text, variable, element), variable, element)
        if self._file is None:
            raise Misconfigured(element, f"no credentials {name!r}: set {variable}")
        try:
            text = self._file.read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise Misconfigured(element, f"cannot read the credentials file: {error}") from error
        content = _parse_json(text, "the credentials file", element)
        if not isinstance(content, dict) or name not in content:
            raise Misconfigured(element, f"no credentials {name!r} in the file or in {variable}")
        return self._secret(content[name], f"credentials {name!r}", element)

    @staticmethod
    def _secret(content: object, source: str, element: str) -> Secret:
        if isinstance(content, dict) and all(isinstance(text, str) for text in content.values()):
            return Secret(content)
        raise Misconfigured(element, f"{source}: expected a JSON object of text values")


def _parse_json(text: str, source: str, element: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        # The parser's error contains the text, which is secret.
        raise Misconfigured(element, f"{source}: not JSON") from None
