"""Table of the demo operator's offerings and specifications."""

from dataclasses import dataclass, field
from typing import Literal

Segment = Literal["consumer", "business"]


@dataclass(frozen=True, slots=True)
class Specification:
    """A product specification.

    Attributes:
        id: Id without the prefix ``specification-``.
        name: Its name.
        category: Id of its category without the prefix ``category-``.
        allowed_values: Unit and allowed values by characteristic.
        component_ids: Ids of the specifications in a bundle.
    """

    id: str
    name: str
    category: str
    allowed_values: dict[str, tuple[str, tuple[str | int, ...]]] = field(default_factory=dict)
    component_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Offer:
    """A product offering. Prices are without tax and multiples of 0.05.

    Attributes:
        id: Id without the prefix ``offering-``.
        name: Its name.
        specification_id: Id of its specification.
        monthly_price: Recurring price per month; empty: none.
        setup_price: One-time price; empty: none.
        usage_price: Price per unit and the unit; None: none.
        characteristic_values: Values by characteristic.
        component_ids: Ids of the offerings in a bundle.
        segment: Market segment.
        term_months: Minimum term in months; 0: none.
        description: Description for customers.
    """

    id: str
    name: str
    specification_id: str
    monthly_price: str = ""
    setup_price: str = ""
    usage_price: tuple[str, str] | None = None
    characteristic_values: dict[str, str | int] = field(default_factory=dict)
    component_ids: tuple[str, ...] = ()
    segment: Segment = "consumer"
    term_months: int = 0
    description: str = ""


#: Parent (empty: a root) and name by category.
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
_UPSTREAM_BY_SPEED = {20: 5, 50: 10, 100: 40, 250: 50, 500: 100, 1000: 500}
_BUSINESS_SPEEDS = (100, 500, 1000)

SPECIFICATIONS = (
    Specification(
        "fibre",
        "Fibre access",
        "broadband",
        {
            "serviceType": ("", ("broadband",)),
            "downstreamSpeed": ("Mbit/s", _SPEEDS),
            "upstreamSpeed": ("Mbit/s", tuple(_UPSTREAM_BY_SPEED.values())),
        },
    ),
    Specification(
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
    Specification(
        "tv", "Television", "tv", {"channels": ("", (60, 110, 130, 180)), "streams": ("", (2, 4))}
    ),
    Specification("home-voice", "Home phone line", "voice", {"lines": ("", (1, 2))}),
    Specification("sip-trunk", "SIP trunk", "business-voice", {"channels": ("", (4, 10, 30))}),
    Specification("mobile", "Mobile line", "mobile", {"volume": ("GB", (0, 2, 10, 40, 100, 250))}),
    Specification("iot", "IoT connectivity", "iot", {"volume": ("MB", (5, 50, 500, 2000))}),
    Specification("address", "Fixed IP addresses", "extras", {"addresses": ("", (1, 8))}),
    Specification(
        "equipment", "Equipment on loan", "extras", {"device": ("", ("mesh", "recorder"))}
    ),
    Specification("security", "Protection", "extras", {"devices": ("", (5, 15))}),
    Specification("storage", "Online storage", "extras", {"volume": ("GB", (200, 1000))}),
    Specification("roaming", "Roaming", "extras", {"days": ("days", (7, 30))}),
    Specification("visit", "Engineer's visit", "extras", {"duration": ("minutes", (90,))}),
    Specification("home-bundle", "Home bundle", "bundles", {}, ("fibre", "tv", "home-voice")),
    Specification("family-bundle", "Family bundle", "bundles", {}, ("fibre", "tv", "mobile")),
    Specification(
        "office-bundle", "Office bundle", "business", {}, ("business-fibre", "sip-trunk")
    ),
)


def _access_values(down: int, up: int) -> dict[str, str | int]:
    return {"serviceType": "broadband", "downstreamSpeed": down, "upstreamSpeed": up}


def _fibre_offer(speed: int, monthly: str, text: str) -> Offer:
    values = _access_values(speed, _UPSTREAM_BY_SPEED[speed])
    name = f"Fibre {speed}"
    id = f"fibre-{speed}"
    return Offer(
        id, name, "fibre", monthly, "49.00", None, values, (), term_months=12, description=text
    )


def _business_fibre_offer(speed: int, monthly: str, hours: int) -> Offer:
    values = _access_values(speed, speed)
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


def _mobile_offer(id: str, name: str, monthly: str, volume: int, text: str) -> Offer:
    return Offer(
        id,
        name,
        "mobile",
        monthly,
        "10.00",
        ("0.10", "minute"),
        {"volume": volume},
        term_months=1,
        description=text,
    )


def _iot_offer(id: str, name: str, monthly: str, volume: int) -> Offer:
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


OFFERS = (
    _fibre_offer(20, "17.50", "For mail and news."),
    _fibre_offer(50, "22.50", "For one or two at home."),
    _fibre_offer(100, "27.50", "For a household that streams."),
    _fibre_offer(250, "34.50", "For a house full of screens."),
    _fibre_offer(500, "42.50", "For working and playing at the same time."),
    _fibre_offer(1000, "54.50", "As fast as the line goes."),
    _business_fibre_offer(100, "79.00", 8),
    _business_fibre_offer(500, "149.00", 8),
    _business_fibre_offer(1000, "239.00", 4),
    Offer(
        "tv-start",
        "TV Start",
        "tv",
        "8.00",
        characteristic_values={"channels": 60, "streams": 2},
        term_months=1,
        description="60 channels.",
    ),
    Offer(
        "tv-family",
        "TV Family",
        "tv",
        "14.00",
        characteristic_values={"channels": 110, "streams": 4},
        term_months=12,
        description="110 channels, with those for children.",
    ),
    Offer(
        "tv-sport",
        "TV Sport",
        "tv",
        "19.00",
        characteristic_values={"channels": 130, "streams": 2},
        term_months=12,
        description="130 channels, with every match.",
    ),
    Offer(
        "tv-cinema",
        "TV Cinema",
        "tv",
        "21.50",
        characteristic_values={"channels": 180, "streams": 4},
        term_months=12,
        description="180 channels, with films on demand.",
    ),
    _mobile_offer("mobile-s", "Mobile S", "8.00", 2, "2 GB."),
    _mobile_offer("mobile-m", "Mobile M", "14.00", 10, "10 GB."),
    _mobile_offer("mobile-l", "Mobile L", "21.00", 40, "40 GB."),
    _mobile_offer("mobile-xl", "Mobile XL", "32.00", 100, "100 GB."),
    _mobile_offer("mobile-data", "Mobile Data", "25.00", 250, "250 GB for a router or tablet."),
    Offer(
        "mobile-prepaid",
        "Mobile Prepaid",
        "mobile",
        "",
        "10.00",
        ("0.15", "minute"),
        {"volume": 0},
        description="Pay as you go.",
    ),
    Offer(
        "voice-line",
        "Home Line",
        "home-voice",
        "6.50",
        "15.00",
        ("0.05", "minute"),
        {"lines": 1},
        term_months=1,
        description="One number.",
    ),
    Offer(
        "voice-flat",
        "Home Line Flat",
        "home-voice",
        "11.00",
        "15.00",
        None,
        {"lines": 2},
        term_months=12,
        description="Two numbers, calls in the country included.",
    ),
    Offer(
        "sip-trunk-4",
        "SIP Trunk 4",
        "sip-trunk",
        "24.00",
        "60.00",
        ("0.05", "minute"),
        {"channels": 4},
        segment="business",
        term_months=12,
        description="4 calls at once.",
    ),
    Offer(
        "sip-trunk-10",
        "SIP Trunk 10",
        "sip-trunk",
        "49.00",
        "60.00",
        ("0.05", "minute"),
        {"channels": 10},
        segment="business",
        term_months=12,
        description="10 calls at once.",
    ),
    _iot_offer("iot-meter", "IoT Meter", "0.60", 5),
    _iot_offer("iot-tracker", "IoT Tracker", "1.80", 50),
    _iot_offer("iot-fleet", "IoT Fleet", "4.50", 500),
    _iot_offer("iot-camera", "IoT Camera", "9.50", 2000),
    Offer(
        "fixed-address",
        "Fixed IP Address",
        "address",
        "4.00",
        characteristic_values={"addresses": 1},
    ),
    Offer(
        "address-block",
        "Address Block",
        "address",
        "18.00",
        characteristic_values={"addresses": 8},
        segment="business",
        description="Eight fixed addresses.",
    ),
    Offer(
        "mesh-wifi",
        "Mesh Wi-Fi",
        "equipment",
        "4.50",
        characteristic_values={"device": "mesh"},
        term_months=12,
        description="Wi-Fi in every room.",
    ),
    Offer(
        "recorder",
        "TV Recorder",
        "equipment",
        "5.00",
        characteristic_values={"device": "recorder"},
        term_months=12,
        description="500 hours of recordings.",
    ),
    Offer(
        "security",
        "Safe Home",
        "security",
        "3.00",
        characteristic_values={"devices": 5},
        term_months=1,
        description="Protects five devices.",
    ),
    Offer(
        "storage",
        "Online Storage",
        "storage",
        "5.00",
        characteristic_values={"volume": 1000},
        term_months=1,
        description="1,000 GB.",
    ),
    Offer(
        "roaming-week",
        "Roaming Week",
        "roaming",
        "",
        "9.00",
        None,
        {"days": 7},
        description="Seven days abroad.",
    ),
    Offer(
        "visit",
        "Engineer's Visit",
        "visit",
        "",
        "65.00",
        None,
        {"duration": 90},
        description="Everything is set up for you.",
    ),
    Offer(
        "home-duo",
        "Home Duo",
        "home-bundle",
        "33.00",
        "49.00",
        component_ids=("fibre-100", "voice-flat"),
        term_months=12,
        description="Fibre 100 and a phone.",
    ),
    Offer(
        "home-trio",
        "Home Trio",
        "home-bundle",
        "51.00",
        "49.00",
        component_ids=("fibre-250", "tv-family", "voice-flat"),
        term_months=24,
        description="Fibre 250, television and a phone.",
    ),
    Offer(
        "family-quad",
        "Family Quad",
        "family-bundle",
        "79.50",
        "49.00",
        component_ids=("fibre-500", "tv-cinema", "voice-flat", "mobile-m"),
        term_months=24,
        description="Everything for everybody.",
    ),
    Offer(
        "student",
        "Student Pack",
        "family-bundle",
        "29.00",
        "0.00",
        component_ids=("fibre-50", "mobile-s"),
        term_months=1,
        description="Fibre 50 and Mobile S, ends when term does.",
    ),
    Offer(
        "gamer",
        "Gamer Pack",
        "family-bundle",
        "62.50",
        "49.00",
        component_ids=("fibre-1000", "mesh-wifi", "tv-sport"),
        term_months=12,
        description="Fibre 1000, Wi-Fi in every room, every match.",
    ),
    Offer(
        "office",
        "Office Starter",
        "office-bundle",
        "119.00",
        "150.00",
        component_ids=("business-fibre-100", "sip-trunk-4", "address-block"),
        segment="business",
        term_months=24,
        description="Access, phones and addresses for a small office.",
    ),
)

OFFERS_BY_ID = {offer.id: offer for offer in OFFERS}
