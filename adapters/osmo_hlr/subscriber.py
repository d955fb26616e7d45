"""The state of a subscriber and the steps to the desired state; pure, no I/O."""

import re
from collections.abc import Iterable, Mapping
from types import MappingProxyType

from adapters.errors import Rejected
from adapters.osmo_hlr.keys import SimKeys
from adapters.planning import State
from adapters.values import Intent, Setting, Step

IMSI_PATTERN = re.compile(r"[0-9]{6,15}")  # ITU-T E.212
MSISDN_PATTERN = re.compile(r"[0-9]{1,15}|")  # ITU-T E.164; empty: none
#: Settings of an intent, and their types.
SETTING_TYPES: Mapping[str, type] = MappingProxyType(
    {"msisdn": str, "circuitSwitched": bool, "packetSwitched": bool, "enabled": bool}
)
ACCESS_SETTINGS = ("circuitSwitched", "packetSwitched")
#: The keys in the HLR: none, those of the credentials, or others. Stored plans contain the values.
NO_KEYS, CREDENTIAL_KEYS, OTHER_KEYS = "none", "asked", "other"
#: State of a subscriber that does not exist. Apart from "subscriber", the values are those that the
#: HLR gives a new subscriber, so that the steps after the creation start from them.
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
    r"""Return the attributes of a subscriber from lines with a name, a tab and a value.

    >>> parse_attributes("\nid\t1\nmsisdn\t4917")
    {'id': '1', 'msisdn': '4917'}
    """
    pairs = (line.partition("\t") for line in text.splitlines())
    return {name: value for name, tab, value in pairs if tab}


def state(attributes: Mapping[str, str] | None, keys: SimKeys | None) -> State:
    """Return the state of a subscriber.

    Args:
        attributes: The attributes in the HLR; None: the subscriber does not exist.
        keys: The keys in the credentials, if any.
    """
    if attributes is None:
        return ABSENT_STATE
    has_keys = any(name.startswith("aud") for name in attributes)
    is_equal = keys is not None and keys.are_equal_to(attributes)
    return {
        "subscriber": True,
        "circuitSwitched": attributes.get("nam_cs") == "1",
        "packetSwitched": attributes.get("nam_ps") == "1",
        "msisdn": attributes.get("msisdn", ""),
        "keys": (CREDENTIAL_KEYS if is_equal else OTHER_KEYS) if has_keys else NO_KEYS,
    }


def settings(current: State) -> dict[str, Setting]:
    """Return the settings of a subscriber, without the access settings while it is barred."""
    access = {name: current[name] for name in ACCESS_SETTINGS}
    enabled = any(access.values())
    return {"msisdn": current["msisdn"], "enabled": enabled, **(access if enabled else {})}


def desired_state(intent: Intent, current: State, *, has_keys: bool) -> dict[str, Setting]:
    """Return the attributes that an intent sets, in the order in which they must be set.

    The HLR has no attribute for a barred subscriber: barred means that neither circuit nor packet
    switched services are allowed. A barred subscriber stays barred until an intent enables it.

    Args:
        intent: The intent.
        current: The current state of the subscriber.
        has_keys: Whether the credentials have keys for the subscriber.
    """
    if not intent.present:
        return {"subscriber": False}
    is_enabled = any(current[name] for name in ACCESS_SETTINGS)
    enabled = intent.settings.get("enabled", is_enabled)
    target: dict[str, Setting] = {"subscriber": True}
    for name in ACCESS_SETTINGS:
        allowed = intent.settings.get(name, current[name] if is_enabled else True)
        target[name] = bool(enabled and allowed)
    if "msisdn" in intent.settings:
        target["msisdn"] = intent.settings["msisdn"]
    return target | ({"keys": CREDENTIAL_KEYS} if has_keys else {})


def check_intent(element: str, intent: Intent) -> None:
    """Check that an HLR can store an intent.

    Raises:
        Rejected: It cannot; the reason is "noSuchPort", "noSuchAttribute", "wrongType" or
            "wrongValue".
    """
    if not IMSI_PATTERN.fullmatch(intent.port):
        message = f"{intent.port!r} is not an IMSI: expected 6 to 15 digits"
        raise Rejected(element, message, path=intent.port, reason="noSuchPort")
    for name, value in intent.settings.items():
        path = f"{intent.port} {name}"
        if name not in SETTING_TYPES:
            message = f"a subscriber has no {name}; it has {', '.join(SETTING_TYPES)}"
            raise Rejected(element, message, path=path, reason="noSuchAttribute")
        if type(value) is not SETTING_TYPES[name]:
            message = f"{path} = {value!r}: not {SETTING_TYPES[name].__name__}"
            raise Rejected(element, message, path=path, reason="wrongType")
    msisdn = str(intent.settings.get("msisdn", ""))
    if not MSISDN_PATTERN.fullmatch(msisdn):
        message = f"{intent.port} msisdn = {msisdn!r}: expected up to 15 digits"
        raise Rejected(element, message, path=f"{intent.port} msisdn", reason="wrongValue")
    if intent.settings.get("enabled") and not any(
        intent.settings.get(name, True) for name in ACCESS_SETTINGS
    ):
        message = f"{intent.port} enabled: neither {' nor '.join(ACCESS_SETTINGS)} is allowed"
        raise Rejected(element, message, path=f"{intent.port} enabled", reason="wrongValue")


def steps(intent: Intent, current: State, target: State) -> tuple[Step, ...]:
    """Return the steps from the current to the desired state, in order.

    The deletion of a subscriber resets all its attributes.
    """
    after = ABSENT_STATE if not intent.present else {**current, **target}
    return tuple(
        Step(intent.port, name, current[name], after[name])
        for name in ABSENT_STATE
        if current[name] != after[name]
    )


def sorted_steps(unsorted_steps: Iterable[Step]) -> list[Step]:
    """Return steps in the order in which the HLR can do them, also for a rollback."""
    order = list(ABSENT_STATE)
    return sorted(unsorted_steps, key=lambda step: order.index(step.attribute))
