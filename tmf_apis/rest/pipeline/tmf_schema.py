"""JSON to values and back, without a second copy of the contract."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, ClassVar

from marshmallow import INCLUDE, Schema, ValidationError, fields, post_dump

from tmf_apis.errors import InvalidBody

#: Below this every whole number is a JSON number that every reader reads the same (RFC 8259).
SAFE_INTEGER_BOUND = 2**53


class TmfSchema(Schema):
    """Declare only what the code computes with; every other attribute passes through both ways."""

    class Meta:
        """Keep attributes that are not declared when loading."""

        unknown = INCLUDE

    #: What the attributes belong to, for the message of an error.
    subject: ClassVar[str] = "the resource"

    @post_dump(pass_original=True)
    def keep_undeclared(
        self, dumped: dict[str, Any], original: Mapping[str, Any], **_: object
    ) -> dict[str, Any]:
        """Keep attributes that are not declared when dumping (marshmallow drops them)."""
        known = {field.attribute or name for name, field in self.fields.items()}
        return {key: value for key, value in original.items() if key not in known} | dumped

    def handle_error(self, error: ValidationError, data: object, **_: object) -> None:  # noqa: ARG002
        """Turn marshmallow's complaint into the project's own.

        Raises:
            InvalidBody: A declared attribute is not of its type (HTTP 400).
        """
        raise InvalidBody(f"{self.subject}: {error.messages}") from error


class JsonDecimal(fields.Decimal):
    """A JSON number as the decimal that was written: 0.1 is one tenth."""

    def _serialize(  # type: ignore[override]
        self,
        value: Decimal | None,
        attr: str | None,  # noqa: ARG002
        obj: object,  # noqa: ARG002
        **_: object,
    ) -> float | None:
        """Return a number that JSON and MongoDB have."""
        return None if value is None else json_number(value)


def json_number(value: Decimal) -> float:
    """Return a decimal as the JSON number nearest to it, whole where it is whole.

    >>> json_number(Decimal("12.00")), json_number(Decimal("0.10"))
    (12, 0.1)
    """
    whole = abs(value) < SAFE_INTEGER_BOUND and value == value.to_integral_value()
    return int(value) if whole else float(value)
