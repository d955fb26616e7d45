"""Types of SNMP element that are described by files: JSON, one type a file.

The keys are the attributes of ``profile.Profile``, ``Attribute`` and ``CounterColumn``; docs/adapters.md
has an example. What is not known is refused, so that a slip of the pen is not a silent default.
"""

import json
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

from adapters.snmp.profile import (
    BUILT_IN_PROFILES,
    IF_COUNTERS,
    SYNTAX_TYPES,
    TAG,
    Attribute,
    CounterColumn,
    Profile,
)

#: The environment variable that names the folder of descriptions.
FOLDER_VARIABLE = "TMF_PROFILES_DIR"
OBJECT_ID_PATTERN = re.compile(r"[0-2](\.\d+){2,127}")
T = TypeVar("T")


def find_profile(name: str, environment: Mapping[str, str] = os.environ) -> Profile:
    """Return a type of element: one that is built in, or NAME.json of the folder.

    Names only: a resource of the inventory says them, and it shall not make the server read files.

    Raises:
        ValueError: There is none, or its file is not one.
        OSError: The file cannot be read.
    """
    if name in BUILT_IN_PROFILES:
        return BUILT_IN_PROFILES[name]
    folder = environment.get(FOLDER_VARIABLE, "")
    known = {path.stem: path for path in sorted(Path(folder).glob("*.json"))} if folder else {}
    if name not in known:
        there = ", ".join([*BUILT_IN_PROFILES, *known])
        raise ValueError(
            f"no profile {name!r}; there are {there}; {FOLDER_VARIABLE} names their folder"
        )
    return load_profile(known[name])


def load_profile(file: Path) -> Profile:
    """Return the type of element that a file describes.

    Raises:
        ValueError: It describes none; the message says why.
        OSError: It cannot be read.
    """
    try:
        return _parse_profile(json.loads(file.read_text("utf-8")))
    except (ValueError, RecursionError, TypeError) as error:
        raise ValueError(f"{file.name} is not a profile: {error}") from error


def _parse_profile(content: Any) -> Profile:  # noqa: ANN401 - JSON
    if not isinstance(content, dict):
        raise ValueError("expected an object")  # noqa: TRY004 - of a file, not of a program
    raw = dict(content)
    attributes = [_parse_attribute(one) for one in raw.pop("attributes", ())]
    if "tag" not in {one.name for one in attributes}:
        attributes.insert(0, TAG)
    counters = (
        tuple(_construct(CounterColumn, one) for one in raw.pop("counters", ())) or IF_COUNTERS
    )
    for one in counters:
        _check_oid(one.name, one.column)
    _check_unique(one.name for one in attributes)
    profile = _construct(
        Profile,
        {"vendor": "", "model": "", **raw, "attributes": tuple(attributes), "counters": counters},
    )
    if not isinstance(profile.name, str) or not profile.name:
        raise ValueError("name: expected a text")
    try:
        re.compile(profile.access)
    except re.error as error:
        raise ValueError(f"access: {error}") from error
    return profile


def _parse_attribute(content: Any) -> Attribute:  # noqa: ANN401 - JSON
    one = _construct(Attribute, content)
    _check_oid(one.name, one.column)
    _check_oid(one.name, one.key)
    if one.syntax not in SYNTAX_TYPES:
        raise ValueError(f"{one.name}: syntax is one of {', '.join(SYNTAX_TYPES)}")
    if type(one.scale) is not int or one.scale < 1:
        raise ValueError(f"{one.name}: scale is a whole number from 1")
    if one.values and (
        SYNTAX_TYPES[one.syntax] is not int
        or not all(type(value) is int for value in one.values.values())
    ):
        raise ValueError(f"{one.name}: values are numbers of a gauge or an integer")
    if one.absent is not None and (problem := one.problem(one.absent)):
        raise ValueError(f"{one.name}: absent is {problem}")
    return one


def _construct(kind: type[T], content: Any) -> T:  # noqa: ANN401 - JSON
    """Return a value of a class whose attributes are the members of a JSON object."""
    names = {one.name for one in fields(kind)}  # type: ignore[arg-type]
    if not isinstance(content, dict):
        raise ValueError(f"expected an object with {', '.join(sorted(names))}")  # noqa: TRY004
    if unknown := sorted(set(content) - names):
        raise ValueError(f"no such member: {', '.join(unknown)}; there are {', '.join(names)}")
    try:
        return kind(**content)
    except TypeError as error:
        raise ValueError(str(error).partition("() ")[2]) from error


def _check_oid(name: str, oid: object) -> None:
    if not isinstance(oid, str) or not OBJECT_ID_PATTERN.fullmatch(oid):
        raise ValueError(f"{name}: {oid!r} is not an object identifier")


def _check_unique(names: Iterable[str]) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise ValueError(f"{name}: described twice")
        seen.add(name)
