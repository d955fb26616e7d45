"""TMF678 Customer Bill Management: what a customer owes, and what it is made of.

A bill belongs to its related parties and to its billing account: a token whose ``party`` claim
has the account's id sees the account's bills and rates, which the contract gives no related party.
"""

from tmf_apis.billing import actions, model, rules
from tmf_apis.rest.law import Law, Room
from tmf_apis.security.identity import EVERYONE
from tmf_apis.settings import Settings

__all__ = ["room"]


def room(settings: Settings) -> Room:  # noqa: ARG001
    """Return the room; bills and rates are made by the server, clients ask for a bill."""
    laws = {
        "CustomerBill": Law(
            lifecycle=rules.BILL,
            server_owned=rules.SERVER_OWNED,
            on_create=rules.on_create_bill,
            on_change=rules.on_change_bill,
            parties=rules.parties,
        ),
        "AppliedCustomerBillingRate": Law(
            on_create=rules.on_create_rate,
            parties=rules.parties,
        ),
        "BillCycle": Law(parties=lambda _: (EVERYONE,)),
        "CustomerBillOnDemand": Law(
            lifecycle=rules.TASK,
            server_owned=frozenset({"customerBill", "failure", "lastUpdate"}),
            on_create=rules.on_create_task,
            on_change=rules.on_change_task,
            act=actions.refuse_foreign,
            begin=actions.begin,
            parties=rules.parties,
        ),
    }
    return Room(number="TMF678", laws=laws, models=model.MODELS)
