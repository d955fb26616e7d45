"""The exceptions of the system: API errors with HTTP status and TMF630 code, and business errors.

Source: TMF630 REST API Design Guidelines part 1, "Error representation".

    TmfError                      500  1    Internal error
      BadRequest                  400  20   Invalid request
        InvalidBody               400  21   Invalid body
        InvalidQuery              400  22   Invalid query parameter
      Unauthorized                401  40   Missing or invalid credentials
      Forbidden                   403  50   Forbidden
      NotFound                    404  60   Resource not found
      MethodNotAllowed            405  61   Method not allowed
      NotAcceptable               406  62   Not acceptable
      Conflict                    409  70   Conflict
        IllegalTransition         409  71   Illegal state change
        Stale                     409  72   Changed at the same moment
      PreconditionFailed          412  73   Precondition failed
      TooLarge                    413  23   Payload too large
      UriTooLong                  414  24   URI too long
      UnsupportedMediaType        415  25   Unsupported media type
      Unprocessable               422  26   Unprocessable request
      RequestTimeout              408  28   Request incomplete
      TooManyRequests             429  27   Limit reached
      HeadersTooLarge             431  29   Request headers too large
      FeatureNotImplemented       501  2    Not implemented
      Unavailable                 503  5    Service unavailable

Not an API error, without a status:

    Unfulfillable                           Ends the fulfilment of an order item
"""

from collections.abc import Iterable, Mapping
from typing import ClassVar, Self

#: Most characters of a value that a message quotes.
QUOTE_LIMIT = 60
#: Most faults that one message lists.
FAULT_LIMIT = 20


def quoted(value: object, limit: int = QUOTE_LIMIT) -> str:
    """Return a value of a client as a message quotes it: on one line, a long one cut in its middle.

    The cut is in the value, so it never takes the reason away that follows.

    >>> quoted("held"), quoted("x" * 2000, 9)
    ("'held'", "'xxxxx...xxx' (2000 characters)")
    """
    text = value if isinstance(value, str) else repr(value)
    note = f" ({len(text)} characters)" if len(text) > limit else ""
    text = _cut(text, limit)
    return (repr(text) if isinstance(value, str) else text) + note


def shortened(text: str, limit: int = QUOTE_LIMIT) -> str:
    """Return a name or id of a client as a message shows it, without quotes.

    >>> shortened("42"), shortened("x" * 2000, 9)
    ('42', 'xxxxx...xxx')
    """
    text = _cut(text, limit)
    return text if text.isprintable() else repr(text)[1:-1]


def _cut(text: str, limit: int) -> str:
    """Return a text without surrogates, a long one without its middle."""
    if len(text) > limit:
        end = limit // 3
        text = f"{text[: limit - end - 1]}...{text[len(text) - end :]}"
    return text.encode("utf-8", "replace").decode()


class Faults:
    """Collects the faults of a body, so that one answer names them all.

    Attributes:
        messages: The faults: JSON pointer and rule.
        reference: URL of a page about one of them; empty: none.
    """

    def __init__(self) -> None:
        self.messages: list[str] = []
        self.reference = ""

    def add(self, message: str) -> None:
        """Add a fault."""
        self.messages.append(message)

    def collect(self) -> Self:
        """Return a context that collects the fault that ends the block, if one does."""
        return self

    def __enter__(self) -> None:
        """Begin a block; a class without a generator, because most bodies have many blocks."""

    def __exit__(self, type: object, error: BaseException | None, traceback: object) -> bool:
        """Collect the fault of a block, if it has ended with one."""
        if not isinstance(error, InvalidBody):
            return False
        self.messages.append(error.message)
        self.reference = self.reference or error.reference
        return True

    def refuse(self) -> None:
        """Refuse the body if there are faults.

        Raises:
            InvalidBody: There are (HTTP 400).
        """
        if self.messages:
            raise InvalidBody(listed_faults(self.messages), reference=self.reference)


def listed_faults(faults: Iterable[str], limit: int = FAULT_LIMIT) -> str:
    """Return the message of several faults: each once, the first ones in full.

    >>> listed_faults(["/a: wrong", "/b: wrong", "/a: wrong"]), listed_faults("abc", 2)
    ('/a: wrong; /b: wrong', 'a; b; and 1 more')
    """
    unique = list(dict.fromkeys(faults))
    text = "; ".join(unique[:limit])
    return f"{text}; and {len(unique) - limit} more" if len(unique) > limit else text


class TmfError(Exception):
    """An error with a TMF630 body.

    Attributes:
        status: HTTP status code.
        code: Application code, stable across releases; clients may switch on it.
        reason: Short text for people, the same for every occurrence.
        headers: Response headers that belong to the error (``Allow``, ``WWW-Authenticate``, ...).
        reference: URL of a page about the error; empty without one.
    """

    status: ClassVar[int] = 500
    code: ClassVar[str] = "1"
    reason: ClassVar[str] = "Internal error"

    def __init__(
        self, message: str = "", *, headers: Mapping[str, str] | None = None, reference: str = ""
    ) -> None:
        super().__init__(message)
        self.headers = dict(headers or {})
        self.reference = reference

    @property
    def message(self) -> str:
        """The details: the attribute or resource concerned, and the allowed values."""
        return str(self.args[0]) if self.args else ""

    def body(self) -> dict[str, str]:
        """Return the TMF630 error representation; ``status`` is text, as the contracts require."""
        return {
            "@type": "Error",
            "code": self.code,
            "reason": self.reason,
            "message": self.message or self.reason,
            "status": str(self.status),
            **({"referenceError": self.reference} if self.reference else {}),
        }


class BadRequest(TmfError):
    """The request cannot be understood."""

    status, code, reason = 400, "20", "Invalid request"


class InvalidBody(BadRequest):
    """The body violates the contract; the message has the JSON pointer and the rule."""

    code, reason = "21", "Invalid body"


class InvalidQuery(BadRequest):
    """A query parameter is not in the contract, or its value has the wrong type."""

    code, reason = "22", "Invalid query parameter"


class Unauthorized(TmfError):
    """The token is missing or invalid."""

    status, code, reason = 401, "40", "Missing or invalid credentials"


class Forbidden(TmfError):
    """The token is valid but lacks a scope."""

    status, code, reason = 403, "50", "Forbidden"


class NotFound(TmfError):
    """The resource does not exist, or the client cannot see it."""

    status, code, reason = 404, "60", "Resource not found"


class MethodNotAllowed(TmfError):
    """The path exists but does not support the method; ``Allow`` lists the supported methods."""

    status, code, reason = 405, "61", "Method not allowed"


class NotAcceptable(TmfError):
    """The client accepts none of the media types of the response."""

    status, code, reason = 406, "62", "Not acceptable"


class Conflict(TmfError):
    """The request conflicts with the state of this or another resource."""

    status, code, reason = 409, "70", "Conflict"


class IllegalTransition(Conflict):
    """The lifecycle of the resource has no such transition."""

    code, reason = "71", "Illegal state change"

    def __init__(self, kind: str, old: str, new: str, allowed: Iterable[str]) -> None:
        choices = ", ".join(sorted(allowed)) or "none, the state is final"
        super().__init__(f"{kind} cannot go from {old} to {new}; allowed: {choices}")


class Stale(Conflict):
    """A concurrent request changed the resource; the client can try again."""

    code, reason = "72", "Changed at the same moment"


class PreconditionFailed(TmfError):
    """The resource does not have the version in ``If-Match``."""

    status, code, reason = 412, "73", "Precondition failed"


class TooLarge(TmfError):
    """The body, or the resource after a patch, exceeds the size limit."""

    status, code, reason = 413, "23", "Payload too large"


class UriTooLong(TmfError):
    """The path and query exceed the length limit."""

    status, code, reason = 414, "24", "URI too long"


class UnsupportedMediaType(TmfError):
    """The operation does not support the media type or encoding of the body."""

    status, code, reason = 415, "25", "Unsupported media type"


class Unprocessable(TmfError):
    """The request is valid, but the operator does not permit it."""

    status, code, reason = 422, "26", "Unprocessable request"


class TooManyRequests(TmfError):
    """The client or tenant has reached a limit.

    Attributes:
        limit: Name of the limit, for the metrics; empty if it is counted elsewhere.
    """

    status, code, reason = 429, "27", "Limit reached"

    def __init__(
        self, message: str = "", *, headers: Mapping[str, str] | None = None, limit: str = ""
    ) -> None:
        super().__init__(message, headers=headers)
        self.limit = limit


class RequestTimeout(TmfError):
    """The request did not arrive completely within its time limit."""

    status, code, reason = 408, "28", "Request incomplete"


class HeadersTooLarge(TmfError):
    """The headers of the request are too long or too many."""

    status, code, reason = 431, "29", "Request headers too large"


class FeatureNotImplemented(TmfError):
    """This server does not implement a feature of the standard."""

    status, code, reason = 501, "2", "Not implemented"


class Unavailable(TmfError):
    """The server cannot answer now, usually because of its database; try again later."""

    status, code, reason = 503, "5", "Service unavailable"


class Unfulfillable(Exception):
    """An order item cannot be fulfilled as ordered; the message has the reason.

    Attributes:
        public_message: The reason for customers, without facts about other customers or about the
            operator's network.
        order: Id of another order that the message is about; empty: none. A client that can read
            that order can read the message.
    """

    def __init__(self, message: str, public_message: str = "", *, order: str = "") -> None:
        self.public_message = public_message or message
        self.order = order
        super().__init__(message)
