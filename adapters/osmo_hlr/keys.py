"""The secret keys of SIM cards: read from the credentials, told to nobody but the HLR.

The credentials of an HLR hold for each IMSI what its command line says after "update aud2g" or
"update aud3g", both separated by a semicolon:

    {"901700000000001": "milenage k <32 hex digits> opc <32 hex digits>",
     "901700000000002": "comp128v1 ki <32 hex digits>; milenage k <...> op <...>",
     "file": "/etc/tmf/sim-cards", "vty": "<password of the command line>"}

``file`` names a text file for many cards: one a line, the IMSI and the same words.
"""

import re
from collections.abc import Mapping
from pathlib import Path

from adapters.credentials import Secret
from adapters.errors import Misconfigured

HEX_KEY = r"[0-9a-f]{32}"
#: What may be said.
KEY_PATTERNS = {
    "aud2g": re.compile(rf"(?P<algo>comp128v[123]|xor) ki (?P<ki>{HEX_KEY})"),
    "aud3g": re.compile(
        rf"(?P<algo>milenage) k (?P<k>{HEX_KEY}) (?:op (?P<op>{HEX_KEY})|opc (?P<opc>{HEX_KEY}))"
        rf"|(?P<xor>xor) k (?P<only>{HEX_KEY})"
    ),
}
#: How the HLR calls them where it shows them.
REPORTED_NAMES = ("algo", "ki", "k", "op", "opc")
GROUP_NAMES = {"xor": "algo", "only": "k"}


class SimKeys:
    """The keys of one card; shows nothing of them.

    Args:
        text: As in the credentials.

    Raises:
        ValueError: It is not of that form; the message does not quote it.
    """

    __slots__ = ("_matches",)

    def __init__(self, text: str) -> None:
        self._matches: dict[str, re.Match[str]] = {}
        for part in text.lower().split(";"):
            words = " ".join(part.split())
            kind = "aud3g" if re.search(r"\bk\b", words) else "aud2g"
            found = KEY_PATTERNS[kind].fullmatch(words)
            if found is None or kind in self._matches:
                raise ValueError(
                    "expected 'milenage k <hex> opc <hex>' or 'comp128v1 ki <hex>', with 32 digits"
                )
            self._matches[kind] = found

    def __repr__(self) -> str:
        return "Keys(***)"

    def commands(self, imsi: str) -> list[str]:
        """Return what writes them, and wipes others, on the HLR's command line."""
        begin = f"subscriber imsi {imsi} update"
        return [
            f"{begin} {kind} {self._matches[kind][0] if kind in self._matches else 'none'}"
            for kind in KEY_PATTERNS
        ]

    def are_equal_to(self, attributes: Mapping[str, str]) -> bool:
        """Whether the HLR has these keys and no others, by what it shows."""
        ours = {
            f"{kind}.{GROUP_NAMES.get(name, name)}": value
            for kind, found in self._matches.items()
            for name, value in found.groupdict().items()
            if value
        }
        names = {f"{kind}.{name}" for kind in KEY_PATTERNS for name in REPORTED_NAMES}
        return ours == {name: attributes[name].lower() for name in names & attributes.keys()}


def find_keys(imsi: str, secret: Secret, element: str) -> SimKeys | None:
    """Return the keys of a card, or None if the credentials do not know it.

    Raises:
        Misconfigured: What they say of it is not usable; the message does not quote it.
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
            first, _, rest = line.partition(" ")
            if first == imsi:
                return rest
    return ""
