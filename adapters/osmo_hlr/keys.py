"""The secret keys of SIM cards, from the credentials of an HLR; only the HLR may see them.

For each IMSI, the credentials hold the arguments of the commands "update aud2g" and "update aud3g"
of the HLR, separated by a semicolon if there are both:

    {"901700000000001": "milenage k <32 hex digits> opc <32 hex digits>",
     "901700000000002": "comp128v1 ki <32 hex digits>; milenage k <...> op <...>",
     "file": "/etc/tmf/sim-cards", "vty": "<password of the command line>"}

``file`` names a text file with one card per line: the IMSI, a space, and the same arguments.
"""

import re
from collections.abc import Mapping
from pathlib import Path

from adapters.credentials import Secret
from adapters.errors import Misconfigured

HEX_KEY = r"[0-9a-f]{32}"
#: Arguments of "update aud2g" and "update aud3g".
KEY_PATTERNS = {
    "aud2g": re.compile(rf"(?P<algo>comp128v[123]|xor) ki (?P<ki>{HEX_KEY})"),
    "aud3g": re.compile(
        rf"(?P<algo>milenage) k (?P<k>{HEX_KEY}) (?:op (?P<op>{HEX_KEY})|opc (?P<opc>{HEX_KEY}))"
        rf"|(?P<xor>xor) k (?P<only>{HEX_KEY})"
    ),
}
#: Names of the arguments in the attributes that the HLR reports.
REPORTED_NAMES = ("algo", "ki", "k", "op", "opc")
GROUP_NAMES = {"xor": "algo", "only": "k"}


class SimKeys:
    """The keys of one card, which its ``repr`` does not disclose.

    Args:
        text: The keys as in the credentials.

    Raises:
        ValueError: The text is invalid; the message does not quote it.
    """

    __slots__ = ("_matches",)

    def __init__(self, text: str) -> None:
        self._matches: dict[str, re.Match[str]] = {}
        for part in text.lower().split(";"):
            words = " ".join(part.split())
            kind = "aud3g" if re.search(r"\bk\b", words) else "aud2g"
            match = KEY_PATTERNS[kind].fullmatch(words)
            if match is None or kind in self._matches:
                raise ValueError(
                    "expected 'milenage k <hex> opc <hex>' or 'comp128v1 ki <hex>', with 32 digits"
                )
            self._matches[kind] = match

    def __repr__(self) -> str:
        return "SimKeys(***)"

    def commands(self, imsi: str) -> list[str]:
        """Return the commands that write these keys and delete all others."""
        prefix = f"subscriber imsi {imsi} update"
        return [
            f"{prefix} {kind} {self._matches[kind][0] if kind in self._matches else 'none'}"
            for kind in KEY_PATTERNS
        ]

    def are_equal_to(self, attributes: Mapping[str, str]) -> bool:
        """Return whether the attributes that the HLR reports are exactly these keys."""
        ours = {
            f"{kind}.{GROUP_NAMES.get(name, name)}": value
            for kind, match in self._matches.items()
            for name, value in match.groupdict().items()
            if value
        }
        names = {f"{kind}.{name}" for kind in KEY_PATTERNS for name in REPORTED_NAMES}
        return ours == {name: attributes[name].lower() for name in names & attributes.keys()}


def find_keys(imsi: str, secret: Secret, element: str) -> SimKeys | None:
    """Return the keys of a card, or None if the credentials have none.

    Raises:
        Misconfigured: The keys are invalid, or the file cannot be read; the message quotes no key.
    """
    try:
        text = secret.get(imsi) or _find_in_file(imsi, secret.get("file", ""))
        return SimKeys(text) if text else None
    except OSError as error:
        raise Misconfigured(element, f"the file of SIM cards: {error.strerror}") from None
    except ValueError as error:
        raise Misconfigured(element, f"the keys of IMSI {imsi}: {error}") from None


def _find_in_file(imsi: str, name: str) -> str:
    if not name:
        return ""
    with Path(name).open(encoding="ascii") as lines:
        for line in lines:
            line_imsi, _, keys = line.partition(" ")
            if line_imsi == imsi:
                return keys
    return ""
