"""The demo operator as files: NDJSON, one a kind, as ``tmf load`` takes them."""

from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

import orjson

from tmf_apis.demo.generator import operator_resources


def write_files(seed: int, now: datetime, folder: Path) -> dict[str, int]:
    """Write the operator into a folder, and return how many resources each kind has.

    Args:
        seed: Which operator.
        now: What all dates are counted from, in UTC.
        folder: Made where it does not exist; files of the same names are replaced.
    """
    folder.mkdir(parents=True, exist_ok=True)
    counts: dict[str, int] = {}
    files: dict[str, BinaryIO] = {}
    with ExitStack() as stack:
        for kind, resource in operator_resources(seed, now):
            if kind not in files:
                file = (folder / f"{kind}.ndjson").open("wb")
                files[kind] = stack.enter_context(file)
            files[kind].write(orjson.dumps(resource) + b"\n")
            counts[kind] = counts.get(kind, 0) + 1
    return counts
