"""OpenAPI documents in YAML, cached as JSON, which is parsed in a fraction of the time."""

import logging
import os
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Any, cast

import orjson

from tmf_apis.rest.contracts.yaml_loader import load_yaml

Document = dict[str, Any]

log = logging.getLogger(__name__)


def load_document(file: Path, cache_dir: Path | None) -> Document:
    """Return a document.

    Args:
        file: The YAML file.
        cache_dir: Folder of the JSON cache, created if it does not exist. A cached document is
            used as long as the YAML file is the same. If the folder is not writable, the document
            is parsed every time.

    Raises:
        yaml.YAMLError: The file is not YAML.
    """
    text = file.read_bytes()
    digest = sha256(text).hexdigest()
    cache_file = cache_dir / f"{file.stem}.json" if cache_dir else None
    if cache_file and (cached := _read_cache(cache_file, digest)):
        return cached
    document = load_yaml(text)
    if cache_file:
        _write_cache(cache_file, {"sha256": digest, "document": document})
    return cast("Document", document)


def resolve_reference(document: Document, node: Document) -> Document:
    """Return a part of a document, or the target of its ``$ref``.

    >>> document = {"components": {"responses": {"Done": {"description": "Done."}}}}
    >>> resolve_reference(document, {"$ref": "#/components/responses/Done"})
    {'description': 'Done.'}
    """
    if "$ref" not in node:
        return node
    target: Any = document
    for name in node["$ref"].removeprefix("#/").split("/"):
        target = target[name]
    return cast("Document", target)


def _read_cache(file: Path, digest: str) -> Document | None:
    """Return the cached document; None if it is missing, outdated or damaged."""
    try:
        content = orjson.loads(file.read_bytes())
        document = content["document"] if content["sha256"] == digest else None
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return document if isinstance(document, dict) else None


def _write_cache(file: Path, content: Mapping[str, object]) -> None:
    """Write a cache file atomically, because several servers may write it at the same time."""
    name = ""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(dir=file.parent, prefix=file.stem, suffix=".part")
        with os.fdopen(descriptor, "wb") as part:
            part.write(orjson.dumps(content))
        Path(name).replace(file)
    except (OSError, orjson.JSONEncodeError) as error:
        log.warning(
            "contract cannot be cached",
            extra={"file": str(file), "error": str(error)},
        )
        if name:
            with suppress(OSError):
                Path(name).unlink()
