"""Fictitious names and addresses, made of syllables, reserved numbers and reserved domains.

Source: Ofcom, telephone numbers for drama use (01632 960xxx, 07700 900xxx); RFC 2606 (example
domains); RFC 5737 (addresses for documentation).
"""

from random import Random


def _words(text: str, separator: str = " ") -> tuple[str, ...]:
    return tuple(text.split(separator))


_GIVEN_NAMES = _words(
    "Ada Alma Amir Anouk Arlo Asha Bela Bodil Brin Cai Carys Dara Dilan Edda Eira Elio Enzo Esme "
    "Fenna Finn Gwen Hana Idris Ilse Imke Ines Isra Iver Jola Juno Kaya Keir Lale Leif Lio Luca "
    "Mabel Maeve Malik Mika Mira Nadia Neve Nils Noor Odin Olga Orla Otto Pia Quinn Rafi Rhea Ria "
    "Rune Sami Sanne Selin Sofi Tamar Tess Theo Tove Uma Vera Wilf Xeni Yara Yusuf Zara Zeno"
)
_SURNAME_PREFIXES = _words(
    "Ald Bram Cald Dun Ever Fen Gil Hazel Ivers Kel Lang Mar Nor Oak Pell Quar Raven"
)
_SURNAME_SUFFIXES = _words(
    "brook bury combe dale den field gate holt low mere row shaw stead thorp wick"
)
_TRADES = _words(
    "Bakery|Joinery|Dental Practice|Veterinary Clinic|Logistics|Architects|Garden Centre|"
    "Bookshop|Cycles|Translations|Brewery|Print Works|Accountants|Hotel|Boatyard|Optics",
    "|",
)
_STREETS = _words(
    "Mill Lane|Station Road|Church Walk|Harbour Street|Orchard Close|High Street|Quarry Road|"
    "Weavers Yard|Bridge Street|Kiln Hill",
    "|",
)

#: The twenty towns of the operator's sites.
TOWNS = _words(
    "Aldermoor Brackwell Calderstow Dunmere Eversham Fennick Gilthorpe Harrowden Inglemere "
    "Kelderby Langfold Marlstone Northolme Oakenrow Pellwick Quarnholt Ravensey Silverbeck "
    "Thistlecombe Wynterford"
)


def person_name(random: Random) -> str:
    """Return the name of a person."""
    return f"{random.choice(_GIVEN_NAMES)} {_surname(random)}"


def company_name(random: Random) -> str:
    """Return the name of a business."""
    return f"{_surname(random)} {random.choice(_TRADES)}"


def _surname(random: Random) -> str:
    return f"{random.choice(_SURNAME_PREFIXES)}{random.choice(_SURNAME_SUFFIXES)}"


def street_address(random: Random) -> str:
    """Return a street with a number."""
    return f"{random.randint(1, 180)} {random.choice(_STREETS)}"


def postcode(town: int, random: Random) -> str:
    """Return a fictitious post code: no real one begins with ZZ."""
    letters = "ABDEFGHJLNPQRSTUWXYZ"
    return f"ZZ{town + 1} {random.randint(1, 9)}{random.choice(letters)}{random.choice(letters)}"


def email_address(name: str, number: int, *, business: bool) -> str:
    """Return an e-mail address.

    >>> email_address("Ada Aldbrook", 7, business=False)
    'ada.aldbrook.7@example.net'
    """
    local = ".".join(name.lower().split())
    return f"{local}.{number}@example.{'com' if business else 'net'}"


def mobile_number(number: int) -> str:
    """Return a mobile number reserved for fiction."""
    return f"+44 7700 900{number % 1000:03}"


def landline_number(number: int) -> str:
    """Return a landline number reserved for fiction."""
    return f"+44 1632 960{number % 1000:03}"
