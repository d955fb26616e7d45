"""The formats of the files of import and export jobs: what ``contentType`` and the name promise.

A file is a JSON array, or has one resource a line (NDJSON). Either may be compressed by gzip, which
``.gz`` or the type application/gzip says; the rest of the name then says what is compressed. A job
whose ``contentType`` and name contradict each other is refused.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from tmf_apis.errors import InvalidBody

JSON, NDJSON, GZIP = "application/json", "application/x-ndjson", "application/gzip"
#: Accepted types -> the offered type that means the same.
_TYPES: Final[Mapping[str, str]] = {
    JSON: JSON,
    NDJSON: NDJSON,
    "application/ndjson": NDJSON,
    "application/jsonl": NDJSON,
    GZIP: GZIP,
    "application/x-gzip": GZIP,
}
_SUFFIXES: Final[Mapping[str, str]] = {".json": JSON, ".ndjson": NDJSON, ".jsonl": NDJSON}
#: Names that promise a format that is not offered; other endings promise nothing.
_OTHER_FORMATS: Final = frozenset({
    *(".avro", ".csv", ".ods", ".parquet", ".pdf", ".tsv", ".xls", ".xlsx", ".xml", ".yaml"),
    *(".yml", ".7z", ".bz2", ".rar", ".tar", ".tgz", ".xz", ".zip", ".zst"),
})  # fmt: skip
_OFFERED: Final = f"{JSON} (.json), {NDJSON} (.ndjson, .jsonl) and {GZIP} (.gz, as in .json.gz)"
_PARAMETERS: Final = re.compile(r"(?:\s*;\s*charset=\"?utf-8\"?)?\s*", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class FileFormat:
    """The format of a job's file.

    Attributes:
        is_json_array: One JSON array instead of one resource a line.
        is_gzip: Compressed.
    """

    is_json_array: bool
    is_gzip: bool

    @property
    def media_type(self) -> str:
        """The media type of the file."""
        if self.is_gzip:
            return GZIP
        return JSON if self.is_json_array else NDJSON


def file_format(job: Mapping[str, Any]) -> FileFormat:
    """Return the format of a job's file; without a promise, it is NDJSON.

    Raises:
        InvalidBody: The ``contentType`` or the name is that of another format, or they contradict
            each other (HTTP 400).

    >>> file_format({"url": "file:july.json.gz"})
    FileFormat(is_json_array=True, is_gzip=True)
    """
    promised = _promised_type(job.get("contentType"))
    content, is_gzip_name, name = _promise_of_name(str(job.get("url") or ""))
    is_contradiction = promised in {JSON, NDJSON} and content not in {"", promised}
    lacks_gzip = promised == GZIP and content and not is_gzip_name
    if is_contradiction or lacks_gzip:
        raise InvalidBody(
            f"/contentType: {job['contentType']!r} and the name {name!r} promise different formats;"
            f" offered: {_OFFERED}"
        )
    return FileFormat((content or promised) == JSON, is_gzip_name or promised == GZIP)


def _promised_type(content_type: object) -> str:
    """Return the offered type that a job names; empty if it names none."""
    if content_type is None:
        return ""
    name, semicolon, parameters = str(content_type).partition(";")
    promised = _TYPES.get(name.strip().lower())
    if promised is None or not _PARAMETERS.fullmatch(semicolon + parameters):
        raise InvalidBody(f"/contentType: {str(content_type)[:80]!r} is not one of {_OFFERED}")
    return promised


def _promise_of_name(url: str) -> tuple[str, bool, str]:
    """Return the type that the name of a file promises, whether it is compressed, and the name."""
    try:
        name = PurePosixPath(unquote(urlsplit(url).path)).name
    except ValueError as error:
        raise InvalidBody(f"/url: not a URL: {error}") from None
    path = PurePosixPath(name.lower())
    is_gzip = path.suffix == ".gz"
    suffix = (path.with_suffix("") if is_gzip else path).suffix
    if suffix in _OTHER_FORMATS:
        raise InvalidBody(
            f"/url: the name {name[-80:]!r} promises a format that is not offered: {_OFFERED}"
        )
    return _SUFFIXES.get(suffix, ""), is_gzip, name[-80:]
