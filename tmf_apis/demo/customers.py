"""Customers of the demo operator (TMF629)."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from random import Random

from tmf_apis.demo import people
from tmf_apis.demo.builders import characteristic, period, reference, time_before
from tmf_apis.rest.pipeline.policy import Resource

CUSTOMER_COUNT = 500
_BUSINESS_SHARE = 0.16
#: States of a hundred customers.
_STATUSES = ("Active",) * 88 + ("Suspended",) * 4 + ("Closed",) * 3 + ("Approved",) * 2 + (
    "Validated", "Validated", "Initialized",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Customer:
    """A customer, as orders and bills refer to it.

    Attributes:
        number: Number of the customer, from 1.
        name: Name of the person or business.
        is_business: The customer is a business.
        town_index: Index of the town and of the site that serves the customer.
        status: TMF629 ``status``.
        tenure_days: Days since the customer was created.
        address: Street, town and post code.
    """

    number: int
    name: str
    is_business: bool
    town_index: int
    status: str
    tenure_days: int
    address: tuple[str, str, str]

    @property
    def id(self) -> str:
        """Id of the customer."""
        return f"customer-{self.number:04}"

    @property
    def party_id(self) -> str:
        """Id of the person or business, as in the ``party`` claim of their tokens."""
        return f"party-{self.number:04}"

    @property
    def account_id(self) -> str:
        """Id of the billing account."""
        return f"account-{self.number:04}"

    @property
    def party_type(self) -> str:
        """Type of the party."""
        return "Organization" if self.is_business else "Individual"

    @property
    def can_have_ordered(self) -> bool:
        """Return whether the state of the customer allows orders."""
        return self.status in {"Active", "Suspended", "Closed"}

    @property
    def account_reference(self) -> Resource:
        """Reference to the billing account."""
        return reference(
            "BillingAccountRef", self.account_id, f"Account of {self.name}", "BillingAccount",
            ratingType="Postpaid",
        )  # fmt: skip

    @property
    def related_party(self) -> Resource:
        """Related party for an order or bill of the customer."""
        role = reference(
            "PartyRoleRef", self.id, self.name, "Customer",
            partyId=self.party_id, partyName=self.name,
        )  # fmt: skip
        return {
            "@type": "RelatedPartyRefOrPartyRoleRef",
            "role": "customer",
            "partyOrPartyRole": role,
        }


def customers(random: Random) -> list[Customer]:
    """Return the customers, equally distributed over the towns."""
    return [_customer(number, random) for number in range(1, CUSTOMER_COUNT + 1)]


def _customer(number: int, random: Random) -> Customer:
    business = random.random() < _BUSINESS_SHARE
    town = number % len(people.TOWNS)
    return Customer(
        number=number,
        name=people.company_name(random) if business else people.person_name(random),
        is_business=business,
        town_index=town,
        status=_STATUSES[(number * 37) % len(_STATUSES)],
        tenure_days=random.randint(90, 1500),
        address=(people.street_address(random), people.TOWNS[town], people.postcode(town, random)),
    )


def customer_resources(buyers: list[Customer], random: Random, now: datetime) -> Iterator[Resource]:
    """Yield the resources of the customers."""
    for customer in buyers:
        since = time_before(now, days=customer.tenure_days)
        closed = time_before(now, days=12) if customer.status == "Closed" else ""
        yield {
            "@type": "Customer",
            "id": customer.id,
            "name": customer.name,
            "role": "customer",
            "status": customer.status,
            "statusReason": _STATUS_REASONS[customer.status],
            "engagedParty": reference(
                "PartyRef", customer.party_id, customer.name, customer.party_type
            ),
            "validFor": period(since, closed),
            "contactMedium": list(_contact_media(customer, since, random)),
            "account": [
                reference(
                    "AccountRef",
                    customer.account_id,
                    f"Account of {customer.name}",
                    "BillingAccount",
                )
            ],
            "paymentMethod": [
                reference(
                    "PaymentMethodRef",
                    f"payment-method-{customer.number:04}",
                    "Direct debit",
                    "DirectDebit",
                )
            ],
            "creditProfile": [_credit_profile(customer, since, now, random)],
            "characteristic": [
                characteristic("segment", "business" if customer.is_business else "consumer"),
                characteristic("language", random.choice(("en", "en", "en", "cy"))),
            ],
        }


_STATUS_REASONS = {
    "Active": "in good standing",
    "Suspended": "payment overdue",
    "Closed": "moved away",
    "Approved": "waits for the first order",
    "Validated": "identity checked",
    "Initialized": "registered online",
}


def _contact_media(customer: Customer, since: str, random: Random) -> Iterator[Resource]:
    common = {"validFor": period(since)}
    yield {
        "@type": "EmailContactMedium",
        "id": "1",
        "preferred": True,
        "contactType": "email",
        "emailAddress": people.email_address(
            customer.name, customer.number, business=customer.is_business
        ),
        **common,
    }
    number = (
        people.landline_number(customer.number)
        if customer.is_business
        else people.mobile_number(customer.number)
    )
    yield {
        "@type": "PhoneContactMedium",
        "id": "2",
        "preferred": False,
        "contactType": "phone",
        "phoneNumber": number,
        **common,
    }
    street, town, postcode = customer.address
    yield {
        "@type": "GeographicAddressContactMedium",
        "id": "3",
        "preferred": False,
        "contactType": random.choice(("billing address", "address")),
        "street1": street,
        "city": town,
        "postCode": postcode,
        "country": "GB",
        **common,
    }


def _credit_profile(customer: Customer, since: str, now: datetime, random: Random) -> Resource:
    poor = customer.status == "Suspended"
    return {
        "@type": "CreditProfile",
        "id": "1",
        "creditProfileDate": since,
        "creditRiskRating": random.randint(6, 9) if poor else random.randint(1, 5),
        "creditScore": random.randint(300, 480) if poor else random.randint(520, 960),
        "validFor": period(since, time_before(now, days=-365)),
    }
