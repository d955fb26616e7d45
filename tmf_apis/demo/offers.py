"""What the demo operator sells, as a table."""

from dataclasses import dataclass, field
from typing import Literal

Segment = Literal["consumer", "business"]


@dataclass(frozen=True, slots=True)
class Line:
    """A product specification.

    Attributes:
        id: Without the prefix ``specification-``.
        name: For people.
        category: Id of the category without the prefix ``category-``.
        choices: For each characteristic the values it may have, with its unit.
        parts: The specifications that a bundled one consists of.
    """

    id: str
    name: str
    category: str
    choices: dict[str, tuple[str, tuple[str | int, ...]]] = field(default_factory=dict)
    parts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Offer:
    """A product offering. Prices without tax, multiples of 0.05.

    Attributes:
        id: Without the prefix ``offering-``.
        name: For people.
        line: Id of its specification, or of the bundled one.
        monthly: Price a month; empty: none.
        once: Price at the start; empty: none.
        usage: Price a unit, and the unit; empty: none.
        values: The value of each characteristic.
        parts: What a bundle consists of.
        segment: Who may buy it.
        months: How long it is bound at least.
        text: Description.
    """

    id: str
    name: str
    line: str
    monthly: str = ""
    once: str = ""
    usage: tuple[str, str] | None = None
    values: dict[str, str | int] = field(default_factory=dict)
    parts: tuple[str, ...] = ()
    segment: Segment = "consumer"
    months: int = 0
    text: str = ""


#: From each category to its parent, its name and whether it is a root.
CATEGORIES: dict[str, tuple[str, str]] = {
    "home": ("", "For home"),
    "broadband": ("home", "Broadband"),
    "tv": ("home", "Television"),
    "voice": ("home", "Home phone"),
    "mobile": ("home", "Mobile"),
    "extras": ("home", "Extras"),
    "bundles": ("home", "Bundles"),
    "business": ("", "For business"),
    "business-access": ("business", "Business access"),
    "business-voice": ("business", "Business voice"),
    "iot": ("business", "Internet of things"),
}

_SPEEDS = (20, 50, 100, 250, 500, 1000)
_UP = {20: 5, 50: 10, 100: 40, 250: 50, 500: 100, 1000: 500}
_BUSINESS_SPEEDS = (100, 500, 1000)

LINES = (
    Line(
        "fibre",
        "Fibre access",
        "broadband",
        {
            "serviceType": ("", ("broadband",)),
            "downstreamSpeed": ("Mbit/s", _SPEEDS),
            "upstreamSpeed": ("Mbit/s", tuple(_UP.values())),
        },
    ),
    Line(
        "business-fibre",
        "Symmetric fibre access",
        "business-access",
        {
            "serviceType": ("", ("broadband",)),
            "downstreamSpeed": ("Mbit/s", _BUSINESS_SPEEDS),
            "upstreamSpeed": ("Mbit/s", _BUSINESS_SPEEDS),
            "repairTime": ("hours", (4, 8)),
        },
    ),
    Line(
        "tv", "Television", "tv", {"channels": ("", (60, 110, 130, 180)), "streams": ("", (2, 4))}
    ),
    Line("home-voice", "Home phone line", "voice", {"lines": ("", (1, 2))}),
    Line("sip-trunk", "SIP trunk", "business-voice", {"channels": ("", (4, 10, 30))}),
    Line("mobile", "Mobile line", "mobile", {"volume": ("GB", (0, 2, 10, 40, 100, 250))}),
    Line("iot", "IoT connectivity", "iot", {"volume": ("MB", (5, 50, 500, 2000))}),
    Line("address", "Fixed IP addresses", "extras", {"addresses": ("", (1, 8))}),
    Line("equipment", "Equipment on loan", "extras", {"device": ("", ("mesh", "recorder"))}),
    Line("security", "Protection", "extras", {"devices": ("", (5, 15))}),
    Line("storage", "Online storage", "extras", {"volume": ("GB", (200, 1000))}),
    Line("roaming", "Roaming", "extras", {"days": ("days", (7, 30))}),
    Line("visit", "Engineer's visit", "extras", {"duration": ("minutes", (90,))}),
    Line("home-bundle", "Home bundle", "bundles", {}, ("fibre", "tv", "home-voice")),
    Line("family-bundle", "Family bundle", "bundles", {}, ("fibre", "tv", "mobile")),
    Line("office-bundle", "Office bundle", "business", {}, ("business-fibre", "sip-trunk")),
)


def _access(down: int, up: int) -> dict[str, str | int]:
    return {"serviceType": "broadband", "downstreamSpeed": down, "upstreamSpeed": up}


def _fibre(speed: int, monthly: str, text: str) -> Offer:
    values = _access(speed, _UP[speed])
    name = f"Fibre {speed}"
    id = f"fibre-{speed}"
    return Offer(id, name, "fibre", monthly, "49.00", None, values, (), months=12, text=text)


def _business(speed: int, monthly: str, hours: int) -> Offer:
    values = _access(speed, speed)
    return Offer(
        f"business-fibre-{speed}",
        f"Business Fibre {speed}",
        "business-fibre",
        monthly,
        "150.00",
        None,
        {**values, "repairTime": hours},
        (),
        "business",
        24,
        f"{speed} Mbit/s in both directions, repaired within {hours} hours.",
    )


def _mobile(id: str, name: str, monthly: str, volume: int, text: str) -> Offer:
    return Offer(
        id,
        name,
        "mobile",
        monthly,
        "10.00",
        ("0.10", "minute"),
        {"volume": volume},
        months=1,
        text=text,
    )


def _iot(id: str, name: str, monthly: str, volume: int) -> Offer:
    return Offer(
        id,
        name,
        "iot",
        monthly,
        "2.00",
        ("0.05", "MB"),
        {"volume": volume},
        (),
        "business",
        12,
        f"SIM for machines, {volume} MB a month.",
    )


# fmt: off
OFFERS = (
    _fibre(20, "17.50", "For mail and news."),
    _fibre(50, "22.50", "For one or two at home."),
    _fibre(100, "27.50", "For a household that streams."),
    _fibre(250, "34.50", "For a house full of screens."),
    _fibre(500, "42.50", "For working and playing at the same time."),
    _fibre(1000, "54.50", "As fast as the line goes."),
    _business(100, "79.00", 8),
    _business(500, "149.00", 8),
    _business(1000, "239.00", 4),
    Offer("tv-start", "TV Start", "tv", "8.00", values={"channels": 60, "streams": 2}, months=1,
          text="60 channels."),
    Offer("tv-family", "TV Family", "tv", "14.00", values={"channels": 110, "streams": 4},
          months=12, text="110 channels, with those for children."),
    Offer("tv-sport", "TV Sport", "tv", "19.00", values={"channels": 130, "streams": 2},
          months=12, text="130 channels, with every match."),
    Offer("tv-cinema", "TV Cinema", "tv", "21.50", values={"channels": 180, "streams": 4},
          months=12, text="180 channels, with films on demand."),
    _mobile("mobile-s", "Mobile S", "8.00", 2, "2 GB."),
    _mobile("mobile-m", "Mobile M", "14.00", 10, "10 GB."),
    _mobile("mobile-l", "Mobile L", "21.00", 40, "40 GB."),
    _mobile("mobile-xl", "Mobile XL", "32.00", 100, "100 GB."),
    _mobile("mobile-data", "Mobile Data", "25.00", 250, "250 GB for a router or tablet."),
    Offer("mobile-prepaid", "Mobile Prepaid", "mobile", "", "10.00", ("0.15", "minute"),
          {"volume": 0}, text="Pay as you go."),
    Offer("voice-line", "Home Line", "home-voice", "6.50", "15.00", ("0.05", "minute"),
          {"lines": 1}, months=1, text="One number."),
    Offer("voice-flat", "Home Line Flat", "home-voice", "11.00", "15.00", None, {"lines": 2},
          months=12, text="Two numbers, calls in the country included."),
    Offer("sip-trunk-4", "SIP Trunk 4", "sip-trunk", "24.00", "60.00", ("0.05", "minute"),
          {"channels": 4}, segment="business", months=12, text="4 calls at once."),
    Offer("sip-trunk-10", "SIP Trunk 10", "sip-trunk", "49.00", "60.00", ("0.05", "minute"),
          {"channels": 10}, segment="business", months=12, text="10 calls at once."),
    _iot("iot-meter", "IoT Meter", "0.60", 5),
    _iot("iot-tracker", "IoT Tracker", "1.80", 50),
    _iot("iot-fleet", "IoT Fleet", "4.50", 500),
    _iot("iot-camera", "IoT Camera", "9.50", 2000),
    Offer("fixed-address", "Fixed IP Address", "address", "4.00", values={"addresses": 1}),
    Offer("address-block", "Address Block", "address", "18.00", values={"addresses": 8},
          segment="business", text="Eight fixed addresses."),
    Offer("mesh-wifi", "Mesh Wi-Fi", "equipment", "4.50", values={"device": "mesh"}, months=12,
          text="Wi-Fi in every room."),
    Offer("recorder", "TV Recorder", "equipment", "5.00", values={"device": "recorder"},
          months=12, text="500 hours of recordings."),
    Offer("security", "Safe Home", "security", "3.00", values={"devices": 5}, months=1,
          text="Protects five devices."),
    Offer("storage", "Online Storage", "storage", "5.00", values={"volume": 1000}, months=1,
          text="1,000 GB."),
    Offer("roaming-week", "Roaming Week", "roaming", "", "9.00", None, {"days": 7},
          text="Seven days abroad."),
    Offer("visit", "Engineer's Visit", "visit", "", "65.00", None, {"duration": 90},
          text="Everything is set up for you."),
    Offer("home-duo", "Home Duo", "home-bundle", "33.00", "49.00",
          parts=("fibre-100", "voice-flat"), months=12, text="Fibre 100 and a phone."),
    Offer("home-trio", "Home Trio", "home-bundle", "51.00", "49.00",
          parts=("fibre-250", "tv-family", "voice-flat"), months=24,
          text="Fibre 250, television and a phone."),
    Offer("family-quad", "Family Quad", "family-bundle", "79.50", "49.00",
          parts=("fibre-500", "tv-cinema", "voice-flat", "mobile-m"), months=24,
          text="Everything for everybody."),
    Offer("student", "Student Pack", "family-bundle", "29.00", "0.00",
          parts=("fibre-50", "mobile-s"), months=1,
          text="Fibre 50 and Mobile S, ends when term does."),
    Offer("gamer", "Gamer Pack", "family-bundle", "62.50", "49.00",
          parts=("fibre-1000", "mesh-wifi", "tv-sport"), months=12,
          text="Fibre 1000, Wi-Fi in every room, every match."),
    Offer("office", "Office Starter", "office-bundle", "119.00", "150.00",
          parts=("business-fibre-100", "sip-trunk-4", "address-block"), segment="business",
          months=24, text="Access, phones and addresses for a small office."),
)
# fmt: on

BY_ID = {offer.id: offer for offer in OFFERS}
