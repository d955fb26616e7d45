"""The demo operator as NDJSON files for ``tmf load``, one for each kind."""

from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

import orjson

from tmf_apis.demo.examples import with_examples
from tmf_apis.demo.generator import operator_resources


def write_files(seed: int, now: datetime, folder: Path) -> dict[str, int]:
    """Write the operator into a folder and return the number of resources by kind.

    Args:
        seed: Seed of the operator.
        now: Time in UTC to which all dates are relative.
        folder: The folder; it is created if necessary, and its files are overwritten.
    """
    folder.mkdir(parents=True, exist_ok=True)
    counts: dict[str, int] = {}
    files: dict[str, BinaryIO] = {}
    with ExitStack() as stack:
        for kind, resource in with_examples(operator_resources(seed, now), now):
            if kind not in files:
                file = (folder / f"{kind}.ndjson").open("wb")
                files[kind] = stack.enter_context(file)
            files[kind].write(orjson.dumps(resource) + b"\n")
            counts[kind] = counts.get(kind, 0) + 1
    return counts
