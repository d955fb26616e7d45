"""A type of NETCONF element, described by data: where in its YANG models what stands.

Names are written ``prefix:name`` with the prefixes of the profile's ``namespaces``, paths as
``prefix:name/prefix:name``.
"""

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from adapters.snmp import profile_files
from adapters.values import Setting

SHIPPED_FOLDER = Path(__file__).with_name("profiles")
DEFAULT_PROFILE = "tmf-lab-access"
VALUE_TYPES: Mapping[str, type] = {"integer": int, "text": str, "boolean": bool}
TYPE_NAMES = {int: "a whole number", str: "a text", bool: "true or false"}
NUMBER_PATTERN = re.compile(r"-?[0-9]{1,20}(\.[0-9]{1,18})?")
FACT_NAMES = frozenset({"name", "software", "serial", "started"})


@dataclass(frozen=True, slots=True)
class Attribute:
    """A setting of a service and the leaf that holds it.

    Attributes:
        name: Name of the setting; "tag" is the key of the list.
        leaf: Path of the leaf below the list's entry.
        kind: "integer", "text" or "boolean".
        absent: The value that the setting has while the leaf is not there.
        scale: How many of our units one of the element's is (1000: the leaf is in kbit/s).
        words: From our value, as text, to the leaf's word, where they differ ("true": "up").
        pattern: Expression that a text matches which the element takes.
    """

    name: str
    leaf: str
    kind: str
    absent: Setting
    scale: int = 1
    words: Mapping[str, str] = field(default_factory=dict)
    pattern: str = ".*"

    def __post_init__(self) -> None:
        if self.kind not in VALUE_TYPES or not self.is_valid_type(self.absent) or self.scale < 1:
            raise ValueError(f"{self.name}: kind, scale or the value for an absent leaf")
        re.compile(self.pattern)

    def is_valid_type(self, setting: Setting) -> bool:
        """Whether a value is of the kind that the leaf holds."""
        return type(setting) is VALUE_TYPES[self.kind]

    def problem(self, setting: Setting) -> str:
        """Return why the element cannot hold a value; empty if it can, without rounding it."""
        if not self.is_valid_type(setting):
            return f"not {TYPE_NAMES[VALUE_TYPES[self.kind]]}"
        if isinstance(setting, str):
            fits = setting.isprintable() and re.fullmatch(self.pattern, setting)
            return "" if fits else "the element does not take such a text"
        if setting < 0:
            return "below zero"
        return f"the element counts in steps of {self.scale}" if setting % self.scale else ""

    def encode(self, setting: Setting) -> str:
        """Return a value as the leaf has it."""
        if isinstance(setting, bool):
            text = "true" if setting else "false"
        elif isinstance(setting, int):
            text = str(setting // self.scale)
        else:
            text = setting
        return self.words.get(text, text)

    def decode(self, text: str) -> Setting:
        """Return what a leaf says as a value of ours; what it should not say stays text."""
        word = {theirs: ours for ours, theirs in self.words.items()}.get(text, text)
        if self.kind == "boolean":
            return {"true": True, "false": False}.get(word, word)
        if self.kind == "text":
            return word
        if NUMBER_PATTERN.fullmatch(word) is None:
            return word
        number = Decimal(word) * self.scale
        return int(number) if number == number.to_integral_value() else word


@dataclass(frozen=True, slots=True)
class LinkNotification:
    """A notification of the element's that a port works no longer, or works again.

    Attributes:
        name: The notification.
        port: Path of the leaf with the port's name, below it.
        active: Whether the condition begins or ends.
    """

    name: str
    port: str
    active: bool


@dataclass(frozen=True, slots=True)
class Profile:
    """A type of NETCONF element.

    Attributes:
        name: What a target's option ``profile`` calls it.
        vendor: Who makes it.
        model: What it is.
        namespaces: Prefix -> namespace.
        list_path: Path of the list of services, from the top of the configuration.
        key_path: Its key: the id of the service.
        port_path: Leaf with the name of the port that carries it.
        port_pattern: Expression that the names of ports match; other interfaces are not shown.
        access_pattern: Expression that the names of ports match which can carry a service.
        attributes: The settings, the tag first; its pattern is "keyPattern" in a file.
        facts: "name", "software", "serial" and "started" (a time) -> where it stands.
        notifications: What the element reports by itself.
    """

    name: str
    vendor: str
    model: str
    namespaces: Mapping[str, str]
    list_path: str
    key_path: str
    port_path: str
    port_pattern: str
    access_pattern: str
    attributes: tuple[Attribute, ...]
    facts: Mapping[str, str]
    notifications: tuple[LinkNotification, ...]

    def attribute(self, name: str) -> Attribute:
        """Return the attribute of a name.

        Raises:
            KeyError: There is none.
        """
        for one in self.attributes:
            if one.name == name:
                return one
        raise KeyError(name)

    def qualified_names(self, path: str) -> tuple[str, ...]:
        """Return a path as names with their namespaces, "{namespace}name".

        Raises:
            ValueError: A prefix is not one of the profile's.
        """
        found = []
        for step in path.split("/"):
            prefix, colon, name = step.partition(":")
            if not colon or not name or prefix not in self.namespaces:
                raise ValueError(f"{path!r}: {step!r} has none of the prefixes of the profile")
            found.append(f"{{{self.namespaces[prefix]}}}{name}")
        return tuple(found)


def load_profile(name: str, environment: Mapping[str, str] = os.environ) -> Profile:
    """Return a profile by its name: a shipped one, or NAME.json of ``TMF_PROFILES_DIR``.

    Raises:
        ValueError: There is none, or it is not a profile; the message says why.
        OSError: It cannot be read.
    """
    folders = [
        SHIPPED_FOLDER,
        *(Path(own) for own in [environment.get(profile_files.FOLDER_VARIABLE, "")] if own),
    ]
    known = {file.stem: file for folder in reversed(folders) for file in folder.glob("*.json")}
    if (file := known.get(name)) is None:
        there = ", ".join(sorted(known))
        message = f"no profile {name!r}; there are {there}; {profile_files.FOLDER_VARIABLE} names their folder"
        raise ValueError(message)
    try:
        return _parse_profile(json.loads(file.read_text("utf-8")))
    except (KeyError, TypeError, AttributeError, ValueError, RecursionError, re.error) as error:
        raise ValueError(f"{file.name} is not a profile: {error!r}") from error


def _parse_profile(content: Any) -> Profile:  # noqa: ANN401 - what a JSON file may hold
    own = [Attribute(**one) for one in content["attributes"]]
    tag = Attribute("tag", content["key"], "text", "", pattern=content.get("keyPattern", ".*"))
    profile = Profile(
        name=content["name"],
        vendor=content.get("vendor", ""),
        model=content.get("model", ""),
        namespaces=dict(content["namespaces"]),
        list_path=content["list"],
        key_path=content["key"],
        port_path=content["port"],
        port_pattern=content.get("ports", ".*"),
        access_pattern=content.get("access", ".*"),
        attributes=(tag, *own),
        facts=dict(content.get("facts", {})),
        notifications=tuple(LinkNotification(**one) for one in content.get("notifications", ())),
    )
    if unknown := set(profile.facts) - FACT_NAMES:
        raise ValueError(f"no such facts: {', '.join(sorted(unknown))}")
    names = [one.name for one in profile.attributes]
    if len(set(names)) < len(names):
        raise ValueError("two attributes have one name")
    paths = [profile.list_path, profile.key_path, profile.port_path, *profile.facts.values()]
    paths += [one.leaf for one in own]
    paths += [path for one in profile.notifications for path in (one.name, one.port)]
    for path in paths:
        profile.qualified_names(path)
    for expression in (profile.port_pattern, profile.access_pattern):
        re.compile(expression)
    return profile
