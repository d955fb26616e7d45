"""Conversion of rpc-error elements (RFC 6241, appendix A) to element errors."""

from dataclasses import dataclass

from lxml.etree import _Element as Element

from adapters.errors import Conflict, ElementError, Rejected

BASE_NAMESPACE = "urn:ietf:params:xml:ns:netconf:base:1.0"
#: Errors after which the operation may succeed later, or with a new plan.
CONFLICT_TAGS = frozenset({"lock-denied", "in-use", "resource-denied", "data-exists"})
#: Longest error message, in characters; a server may send any number.
MESSAGE_LIMIT = 500


@dataclass(frozen=True, slots=True)
class ReplyError:
    """One rpc-error of a reply.

    Attributes:
        tag: error-tag.
        app_tag: error-app-tag; may be empty.
        path: error-path; may be empty.
        message: error-message; may be empty.
        lock_session: Session that holds the lock, for lock-denied; may be empty.
    """

    tag: str
    app_tag: str
    path: str
    message: str
    lock_session: str

    def __str__(self) -> str:
        words = " ".join(dict.fromkeys(filter(None, (self.tag, self.app_tag))))
        text = f"{self.message or 'refused'} ({words})"
        text += f" at {self.path}" if self.path else ""
        return text + (f", held by session {self.lock_session}" if self.lock_session else "")


def reply_errors(reply: Element) -> list[ReplyError]:
    """Return the errors of a reply, without warnings."""
    return [
        ReplyError(
            _text(error, "error-tag") or "operation-failed",
            _text(error, "error-app-tag"),
            _text(error, "error-path"),
            _text(error, "error-message"),
            _text(error, f"error-info/{{{BASE_NAMESPACE}}}session-id"),
        )
        for error in reply.iterfind(f"{{{BASE_NAMESPACE}}}rpc-error")
        if _text(error, "error-severity") != "warning"
    ]


def element_error(element: str, errors: list[ReplyError]) -> ElementError:
    """Return the element error for one or more rpc-errors."""
    text = "; ".join(map(str, errors))[:MESSAGE_LIMIT]
    if any(error.tag in CONFLICT_TAGS for error in errors):
        return Conflict(element, text)
    first = errors[0]
    return Rejected(element, text, path=first.path, reason=first.app_tag or first.tag)


def _text(parent: Element, name: str) -> str:
    text = parent.findtext(f"{{{BASE_NAMESPACE}}}{name}")
    return " ".join(text.split()) if text else ""
