"""Profiles: JSON files that describe where the YANG models of an element type hold the data.

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

from adapters.profile_folder import FOLDER_VARIABLE, profile_files
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
        leaf: Path of the leaf below the list entry.
        kind: Type of the value: "integer", "text" or "boolean".
        absent: Value of the setting while the leaf does not exist.
        scale: Units of the setting per unit of the leaf (1000: bit/s and kbit/s).
        words: Value of the setting, as text -> text of the leaf, if they differ ("true": "up").
        pattern: Regular expression that the element requires a text to match.
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
            raise ValueError(f"{self.name}: invalid kind, scale or value for an absent leaf")
        re.compile(self.pattern)

    def is_valid_type(self, setting: Setting) -> bool:
        """Return whether a value is of the type that the leaf holds."""
        return type(setting) is VALUE_TYPES[self.kind]

    def problem(self, setting: Setting) -> str:
        """Return the reason why the element cannot store a value exactly; empty if it can."""
        if not self.is_valid_type(setting):
            return f"not {TYPE_NAMES[VALUE_TYPES[self.kind]]}"
        if isinstance(setting, str):
            fits = setting.isprintable() and re.fullmatch(self.pattern, setting)
            return "" if fits else "the element does not accept this text"
        if setting < 0:
            return "below zero"
        return f"the element counts in steps of {self.scale}" if setting % self.scale else ""

    def encode(self, setting: Setting) -> str:
        """Return the text of the leaf for a value."""
        if isinstance(setting, bool):
            text = "true" if setting else "false"
        elif isinstance(setting, int):
            text = str(setting // self.scale)
        else:
            text = setting
        return self.words.get(text, text)

    def decode(self, text: str) -> Setting:
        """Return the value for the text of a leaf; a text of the wrong type is returned as is."""
        text = {theirs: ours for ours, theirs in self.words.items()}.get(text, text)
        if self.kind == "boolean":
            return {"true": True, "false": False}.get(text, text)
        if self.kind == "text" or NUMBER_PATTERN.fullmatch(text) is None:
            return text
        number = Decimal(text) * self.scale
        return int(number) if number == number.to_integral_value() else text


@dataclass(frozen=True, slots=True)
class LinkNotification:
    """A notification that a link went down or came up.

    Attributes:
        name: Name of the notification.
        port: Path of the leaf with the name of the port, below the notification.
        active: True: the link is down; False: it is up again.
    """

    name: str
    port: str
    active: bool


@dataclass(frozen=True, slots=True)
class Profile:
    """A type of NETCONF element.

    Attributes:
        name: Name of the profile, for the option ``profile`` of a target.
        vendor: Vendor of the element.
        model: Model of the element.
        namespaces: Prefix -> namespace.
        list_path: Path of the list of services, from the top of the configuration.
        key_path: Path of the key of the list, which is the id of the service.
        port_path: Path of the leaf with the name of the port that carries the service.
        port_pattern: Regular expression for the names of ports; other interfaces are ignored.
        access_pattern: Regular expression for the names of ports that can carry a service.
        attributes: The settings, the tag first; its pattern is "keyPattern" in a file.
        facts: Paths of the leaves with "name", "software", "serial" and "started" (a time).
        notifications: The notifications about links.
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
        """Return the attribute with this name.

        Raises:
            KeyError: The profile has no such attribute.
        """
        for attribute in self.attributes:
            if attribute.name == name:
                return attribute
        raise KeyError(name)

    def qualified_names(self, path: str) -> tuple[str, ...]:
        """Return the names of a path with their namespaces: "{namespace}name".

        Raises:
            ValueError: The profile does not declare a prefix.
        """
        names = []
        for step in path.split("/"):
            prefix, colon, name = step.partition(":")
            if not colon or not name or prefix not in self.namespaces:
                raise ValueError(f"{path!r}: {step!r} has none of the prefixes of the profile")
            names.append(f"{{{self.namespaces[prefix]}}}{name}")
        return tuple(names)


def load_profile(name: str, environment: Mapping[str, str] = os.environ) -> Profile:
    """Return a profile by its name: a shipped one, or NAME.json of ``TMF_PROFILES_DIR``.

    Raises:
        ValueError: There is no such profile, or its file is invalid; the message says why.
        OSError: The file cannot be read.
    """
    shipped = {file.stem: file for file in SHIPPED_FOLDER.glob("*.json")}
    known = profile_files(environment) | shipped
    if (file := known.get(name)) is None:
        names = ", ".join(sorted(known))
        message = f"no profile {name!r}; there are {names}; {FOLDER_VARIABLE} names their folder"
        raise ValueError(message)
    try:
        return _parse_profile(json.loads(file.read_text("utf-8")))
    except (KeyError, TypeError, AttributeError, ValueError, RecursionError, re.error) as error:
        raise ValueError(f"{file.name} is not a profile: {error!r}") from error


def _parse_profile(content: Any) -> Profile:  # noqa: ANN401 - JSON
    settings = [Attribute(**attribute) for attribute in content["attributes"]]
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
        attributes=(tag, *settings),
        facts=dict(content.get("facts", {})),
        notifications=tuple(
            LinkNotification(**notification) for notification in content.get("notifications", ())
        ),
    )
    _check_profile(profile)
    return profile


def _check_profile(profile: Profile) -> None:
    """Check the names, paths and expressions of a profile.

    Raises:
        ValueError: One of them is invalid.
        re.error: An expression is invalid.
    """
    if unknown := set(profile.facts) - FACT_NAMES:
        raise ValueError(f"no such facts: {', '.join(sorted(unknown))}")
    names = [attribute.name for attribute in profile.attributes]
    if len(set(names)) < len(names):
        raise ValueError("two attributes have the same name")
    paths = [profile.list_path, profile.port_path, *profile.facts.values()]
    paths += [attribute.leaf for attribute in profile.attributes]
    paths += [path for link in profile.notifications for path in (link.name, link.port)]
    for path in paths:
        profile.qualified_names(path)
    for expression in (profile.port_pattern, profile.access_pattern):
        re.compile(expression)
