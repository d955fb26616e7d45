"""marshmallow schemas that convert only the attributes that the code computes with."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, ClassVar

from marshmallow import INCLUDE, Schema, ValidationError, fields, post_dump

from tmf_apis.errors import InvalidBody
from tmf_apis.rest.contracts.numbers import INT64, RULE, is_exact


class TmfSchema(Schema):
    """A schema that preserves undeclared attributes when loading and dumping."""

    class Meta:
        """Keep attributes that are not declared when loading."""

        unknown = INCLUDE

    #: The object that the attributes belong to, for error messages.
    subject: ClassVar[str] = "the resource"

    @post_dump(pass_original=True)
    def keep_undeclared(
        self, dumped: dict[str, Any], original: Mapping[str, Any], **_: object
    ) -> dict[str, Any]:
        """Keep attributes that are not declared when dumping (marshmallow drops them)."""
        declared = {field.attribute or name for name, field in self.fields.items()}
        return {key: value for key, value in original.items() if key not in declared} | dumped

    def handle_error(self, error: ValidationError, data: object, **_: object) -> None:  # noqa: ARG002
        """Raise marshmallow's error as an API error.

        Raises:
            InvalidBody: A declared attribute has a wrong type (HTTP 400).
        """
        raise InvalidBody(f"{self.subject}: {error.messages}") from error


class JsonDecimal(fields.Decimal):
    """A JSON number as the decimal that it was written as: 0.1 is one tenth."""

    def _serialize(  # type: ignore[override]
        self,
        value: Decimal | None,
        attr: str | None,  # noqa: ARG002
        obj: object,  # noqa: ARG002
        **_: object,
    ) -> float | None:
        """Return a number that JSON and MongoDB can hold."""
        return None if value is None else json_number(value)


def json_number(value: Decimal) -> float:
    """Return the JSON number that is equal to a decimal; an integer if it is whole.

    >>> json_number(Decimal("12.00")), json_number(Decimal("0.10"))
    (12, 0.1)

    Raises:
        InvalidBody: No number of the database is equal to it (HTTP 400).
    """
    if value.is_finite() and value == value.to_integral_value() and int(value) in INT64:
        return int(value)
    if not is_exact(text := f"{value:f}"):
        raise InvalidBody(f"the result {text[:40]} would lose digits; {RULE}")
    return float(value)
