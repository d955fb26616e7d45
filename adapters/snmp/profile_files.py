"""Profiles of SNMP elements as JSON files, one profile per file.

The members are the attributes of ``profile.Profile``, ``Attribute`` and ``CounterColumn``;
docs/adapters.md has an example. Unknown members are refused, so that a misspelled member is not
silently ignored.
"""

import json
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

from adapters.profile_folder import FOLDER_VARIABLE, profile_files
from adapters.snmp.profile import (
    BUILT_IN_PROFILES,
    IF_COUNTERS,
    SYNTAX_TYPES,
    TAG,
    Attribute,
    CounterColumn,
    Profile,
)

OBJECT_ID_PATTERN = re.compile(r"[0-2](\.\d+){2,127}")
T = TypeVar("T")


def find_profile(name: str, environment: Mapping[str, str] = os.environ) -> Profile:
    """Return a built-in profile, or the profile in NAME.json of the operator's folder.

    A name cannot be a path: inventory resources contain it, and must not make the server read
    other files.

    Raises:
        ValueError: There is no such profile, or its file is invalid.
        OSError: The file cannot be read.
    """
    if name in BUILT_IN_PROFILES:
        return BUILT_IN_PROFILES[name]
    files = profile_files(environment)
    if name not in files:
        names = ", ".join([*BUILT_IN_PROFILES, *files])
        raise ValueError(
            f"no profile {name!r}; there are {names}; {FOLDER_VARIABLE} names their folder"
        )
    return load_profile(files[name])


def load_profile(file: Path) -> Profile:
    """Return the profile in a file.

    Raises:
        ValueError: The file is not a valid profile; the message says why.
        OSError: The file cannot be read.
    """
    try:
        return _parse_profile(json.loads(file.read_text("utf-8")))
    except (ValueError, RecursionError, TypeError) as error:
        raise ValueError(f"{file.name} is not a profile: {error}") from error


def _parse_profile(content: Any) -> Profile:  # noqa: ANN401 - JSON
    if not isinstance(content, dict):
        raise ValueError("expected an object")  # noqa: TRY004 - the value comes from a file
    members = dict(content)
    attributes = [_parse_attribute(member) for member in members.pop("attributes", ())]
    if "tag" not in {attribute.name for attribute in attributes}:
        attributes.insert(0, TAG)
    counters = tuple(_construct(CounterColumn, member) for member in members.pop("counters", ()))
    for counter in counters:
        _check_oid(counter.name, counter.column)
    _check_unique(attribute.name for attribute in attributes)
    values = {"attributes": tuple(attributes), "counters": counters or IF_COUNTERS}
    profile = _construct(Profile, {"vendor": "", "model": "", **members, **values})
    if not isinstance(profile.name, str) or not profile.name:
        raise ValueError("name: expected a text that is not empty")
    try:
        re.compile(profile.access)
    except re.error as error:
        raise ValueError(f"access: {error}") from error
    return profile


def _parse_attribute(content: Any) -> Attribute:  # noqa: ANN401 - JSON
    attribute = _construct(Attribute, content)
    name, syntax = attribute.name, attribute.syntax
    _check_oid(name, attribute.column)
    _check_oid(name, attribute.key)
    if syntax not in SYNTAX_TYPES:
        raise ValueError(f"{name}: syntax is one of {', '.join(SYNTAX_TYPES)}")
    if type(attribute.scale) is not int or attribute.scale < 1:
        raise ValueError(f"{name}: scale is a whole number from 1")
    if attribute.values and (
        SYNTAX_TYPES[syntax] is not int
        or not all(type(value) is int for value in attribute.values.values())
    ):
        raise ValueError(f"{name}: values are numbers of a gauge or an integer")
    if attribute.absent is not None and (problem := attribute.problem(attribute.absent)):
        raise ValueError(f"{name}: absent is {problem}")
    return attribute


def _construct(kind: type[T], content: Any) -> T:  # noqa: ANN401 - JSON
    """Return an instance of a dataclass from a JSON object with its attributes as members."""
    names = {field.name for field in fields(kind)}  # type: ignore[arg-type]
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
