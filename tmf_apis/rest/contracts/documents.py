"""OpenAPI documents from YAML, kept as JSON, which parses in a fraction of the time."""

import logging
import os
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Any, cast

import orjson
import yaml

Document = dict[str, Any]

log = logging.getLogger(__name__)


def load_document(file: Path, cache_dir: Path | None) -> Document:
    """Return a document.

    Args:
        file: The YAML file.
        cache_dir: Folder for the JSON, made where it does not exist. What is kept there is used as
            long as the YAML is the same, and one that cannot be written to costs time only.

    Raises:
        yaml.YAMLError: The file is not YAML.
    """
    text = file.read_bytes()
    digest = sha256(text).hexdigest()
    kept = cache_dir / f"{file.stem}.json" if cache_dir else None
    if kept and (found := _read_cache(kept, digest)):
        return found
    read = yaml.load(text, yaml.CSafeLoader)
    if kept:
        _write_cache(kept, {"sha256": digest, "document": read})
    return cast("Document", read)


def resolve_reference(document: Document, node: Document) -> Document:
    """Return a part of a document, followed to where it is written once if it is a reference.

    >>> answer = {"description": "Done."}
    >>> whole = {"components": {"responses": {"Done": answer}}}
    >>> resolve_reference(whole, {"$ref": "#/components/responses/Done"})
    {'description': 'Done.'}
    """
    if "$ref" not in node:
        return node
    place: Any = document
    for step in node["$ref"].removeprefix("#/").split("/"):
        place = place[step]
    return cast("Document", place)


def _read_cache(file: Path, digest: str) -> Document | None:
    """Return the document that was kept, unless it is of another text or damaged."""
    try:
        kept = orjson.loads(file.read_bytes())
        found = kept["document"] if kept["sha256"] == digest else None
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return found if isinstance(found, dict) else None


def _write_cache(file: Path, content: Mapping[str, object]) -> None:
    """Write a file whole or not at all; two servers may do so at the same time."""
    name = ""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(dir=file.parent, prefix=file.stem, suffix=".part")
        with os.fdopen(descriptor, "wb") as part:
            part.write(orjson.dumps(content))
        Path(name).replace(file)
    except (OSError, orjson.JSONEncodeError) as error:
        log.warning("contract is not kept", extra={"file": str(file), "why": str(error)})
        if name:
            with suppress(OSError):
                Path(name).unlink()
