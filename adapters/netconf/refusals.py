"""What a server's rpc-errors mean to us (RFC 6241, appendix A)."""

from dataclasses import dataclass

from lxml.etree import _Element as Element

from adapters.errors import Conflict, ElementError, Rejected

BASE = "urn:ietf:params:xml:ns:netconf:base:1.0"
#: Somebody holds what we need, or was there before us: later, or planned anew, it may do.
CONTENDED = frozenset({"lock-denied", "in-use", "resource-denied", "data-exists"})
#: Characters of a message; a server may send any number.
MOST = 500


@dataclass(frozen=True, slots=True)
class Refusal:
    """One rpc-error.

    Attributes:
        tag: error-tag.
        app_tag: error-app-tag; may be empty.
        path: error-path; may be empty.
        message: error-message; may be empty.
        holder: Session that holds the lock, for lock-denied; may be empty.
    """

    tag: str
    app_tag: str
    path: str
    message: str
    holder: str

    def __str__(self) -> str:
        words = " ".join(dict.fromkeys(filter(None, (self.tag, self.app_tag))))
        text = f"{self.message or 'refused'} ({words})"
        text += f" at {self.path}" if self.path else ""
        return text + (f", held by session {self.holder}" if self.holder else "")


def refusals(reply: Element) -> list[Refusal]:
    """Return the errors of a reply, warnings left out."""
    return [
        Refusal(
            _text(one, "error-tag") or "operation-failed",
            _text(one, "error-app-tag"),
            _text(one, "error-path"),
            _text(one, "error-message"),
            _text(one, f"error-info/{{{BASE}}}session-id"),
        )
        for one in reply.iterfind(f"{{{BASE}}}rpc-error")
        if _text(one, "error-severity") != "warning"
    ]


def failure(element: str, found: list[Refusal]) -> ElementError:
    """Return the error that one or more rpc-errors are."""
    text = "; ".join(map(str, found))[:MOST]
    if any(one.tag in CONTENDED for one in found):
        return Conflict(element, text)
    first = found[0]
    return Rejected(element, text, path=first.path, reason=first.app_tag or first.tag)


def _text(one: Element, name: str) -> str:
    found = one.findtext(f"{{{BASE}}}{name}")
    return " ".join(found.split()) if found else ""
