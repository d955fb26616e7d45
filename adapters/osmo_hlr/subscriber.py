"""From how a subscriber is and how it shall be to the steps between: pure, no I/O."""

import re
from collections.abc import Iterable, Mapping
from types import MappingProxyType

from adapters.errors import Rejected
from adapters.osmo_hlr.keys import SimKeys
from adapters.planning import State
from adapters.values import Intent, Setting, Step

IMSI_PATTERN = re.compile(r"[0-9]{6,15}")  # ITU-T E.212
MSISDN_PATTERN = re.compile(r"[0-9]{1,15}|")  # ITU-T E.164; empty: none
#: What an intent may speak about.
SETTING_TYPES: Mapping[str, type] = MappingProxyType(
    {"msisdn": str, "circuitSwitched": bool, "packetSwitched": bool, "enabled": bool}
)
ACCESS_SETTINGS = ("circuitSwitched", "packetSwitched")
#: Whether the HLR has keys, and whose: the credentials' ("asked") or others.
NO_KEYS, CREDENTIAL_KEYS, OTHER_KEYS = "none", "asked", "other"
#: A subscriber that is not there: what the HLR gives one that it makes, so that creating it is
#: the first step and the others begin where that ends.
ABSENT_STATE: State = MappingProxyType(
    {
        "subscriber": False,
        "circuitSwitched": True,
        "packetSwitched": True,
        "msisdn": "",
        "keys": NO_KEYS,
    }
)


def parse_attributes(text: str) -> dict[str, str]:
    r"""Return what the HLR shows of a subscriber: one name and value a line.

    >>> parse_attributes("\nid\t1\nmsisdn\t4917")
    {'id': '1', 'msisdn': '4917'}
    """
    pairs = (line.partition("\t") for line in text.splitlines())
    return {name: value for name, mark, value in pairs if mark}


def state(attributes: Mapping[str, str] | None, keys: SimKeys | None) -> State:
    """Return the attributes of a subscriber.

    Args:
        attributes: What the HLR shows of it; None: it is not there.
        keys: Those of the credentials, if they have any.
    """
    if attributes is None:
        return ABSENT_STATE
    has_keys = any(name.startswith("aud") for name in attributes)
    whose = CREDENTIAL_KEYS if keys is not None and keys.are_equal_to(attributes) else OTHER_KEYS
    return {
        "subscriber": True,
        "circuitSwitched": attributes.get("nam_cs") == "1",
        "packetSwitched": attributes.get("nam_ps") == "1",
        "msisdn": attributes.get("msisdn", ""),
        "keys": whose if has_keys else NO_KEYS,
    }


def settings(current: State) -> dict[str, Setting]:
    """Return the settings of a subscriber; what it may use is not to be seen while it is barred."""
    found = {"msisdn": current["msisdn"], "enabled": any(current[name] for name in ACCESS_SETTINGS)}
    return found | ({name: current[name] for name in ACCESS_SETTINGS} if found["enabled"] else {})


def desired_state(intent: Intent, current: State, *, has_keys: bool) -> dict[str, Setting]:
    """Return the attributes an intent speaks about, in the order they must be set.

    The HLR has no word for "barred": a subscriber is, that may use neither circuit nor packet
    switched services. So one that is barred stays so until ``enabled`` says otherwise.

    Args:
        intent: How the subscriber shall be.
        current: How it is.
        has_keys: Whether the credentials have keys for it.
    """
    if not intent.present:
        return {"subscriber": False}
    free = any(current[name] for name in ACCESS_SETTINGS)
    enabled = intent.settings.get("enabled", free)
    target: dict[str, Setting] = {"subscriber": True}
    for name in ACCESS_SETTINGS:
        asked = intent.settings.get(name, current[name] if free else True)
        target[name] = bool(enabled and asked)
    if "msisdn" in intent.settings:
        target["msisdn"] = intent.settings["msisdn"]
    return target | ({"keys": CREDENTIAL_KEYS} if has_keys else {})


def check_intent(element: str, intent: Intent) -> None:
    """Refuse what no HLR can have.

    Raises:
        Rejected: With the reason "noSuchPort", "noSuchAttribute", "wrongType" or "wrongValue".
    """
    if not IMSI_PATTERN.fullmatch(intent.port):
        message = f"{intent.port!r} is no IMSI: expected 6 to 15 digits"
        raise Rejected(element, message, path=intent.port, reason="noSuchPort")
    for name, value in intent.settings.items():
        path = f"{intent.port} {name}"
        if name not in SETTING_TYPES:
            message = f"a subscriber has no {name}; it has {', '.join(SETTING_TYPES)}"
            raise Rejected(element, message, path=path, reason="noSuchAttribute")
        if type(value) is not SETTING_TYPES[name]:
            message = f"{path} = {value!r}: not {SETTING_TYPES[name].__name__}"
            raise Rejected(element, message, path=path, reason="wrongType")
    number = str(intent.settings.get("msisdn", ""))
    if not MSISDN_PATTERN.fullmatch(number):
        message = f"{intent.port} msisdn = {number!r}: expected up to 15 digits"
        raise Rejected(element, message, path=f"{intent.port} msisdn", reason="wrongValue")
    if intent.settings.get("enabled") and not any(
        intent.settings.get(one, True) for one in ACCESS_SETTINGS
    ):
        message = (
            f"{intent.port} enabled: neither {' nor '.join(ACCESS_SETTINGS)} is left to be used"
        )
        raise Rejected(element, message, path=f"{intent.port} enabled", reason="wrongValue")


def steps(intent: Intent, current: State, target: State) -> tuple[Step, ...]:
    """Return what has to change, in order; a subscriber that goes leaves nothing behind."""
    after = ABSENT_STATE if not intent.present else {**current, **target}
    return tuple(
        Step(intent.port, name, current[name], after[name])
        for name in ABSENT_STATE
        if current[name] != after[name]
    )


def sorted_steps(unsorted_steps: Iterable[Step]) -> list[Step]:
    """Return steps, in whichever direction, in the order in which the HLR can do them."""
    order = list(ABSENT_STATE)
    return sorted(unsorted_steps, key=lambda step: order.index(step.attribute))
