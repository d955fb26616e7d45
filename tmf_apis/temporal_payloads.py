"""Temporal payloads: dataclasses as JSON, with the stored names of their fields.

The history of a workflow has the field names of the release that started it, so payloads use the
same stored names as documents in the database (``tmf_apis.serialization``).
"""

from dataclasses import is_dataclass
from typing import Any

from temporalio.converter import (
    AdvancedJSONEncoder,
    CompositePayloadConverter,
    DataConverter,
    DefaultPayloadConverter,
    JSONPlainPayloadConverter,
    JSONTypeConverter,
)

from tmf_apis.serialization import from_document, to_document


class _Encoder(AdvancedJSONEncoder):
    def default(self, o: Any) -> Any:  # noqa: ANN401
        if is_dataclass(o) and not isinstance(o, type):
            return to_document(o)
        return super().default(o)


class _DataclassConverter(JSONTypeConverter):
    def to_typed_value(self, hint: type[Any], value: Any) -> Any:  # noqa: ANN401
        if is_dataclass(hint):
            return from_document(hint, value)
        return JSONTypeConverter.Unhandled


class PayloadConverter(CompositePayloadConverter):
    """Temporal's default converters with a JSON converter for dataclasses."""

    def __init__(self) -> None:
        super().__init__(
            *(
                _json_converter() if isinstance(converter, JSONPlainPayloadConverter) else converter
                for converter in DefaultPayloadConverter.default_encoding_payload_converters
            )
        )


def _json_converter() -> JSONPlainPayloadConverter:
    return JSONPlainPayloadConverter(
        encoder=_Encoder, custom_type_converters=[_DataclassConverter()]
    )


#: Required by every client, worker and replayer of the workflows.
DATA_CONVERTER = DataConverter(payload_converter_class=PayloadConverter)
