"""TMF678 Customer Bill Management: bills, the rates on them, and requests for a bill.

A bill belongs to its related parties and to its billing account. A token whose ``party`` claim has
the id of the account gives access to the bills of the account, and to its rates, which have no
related party in the contract.
"""

from dataclasses import replace

from tmf_apis.billing import actions, model, rules
from tmf_apis.rest.contracts.reference_schema import ACCOUNT
from tmf_apis.rest.pipeline.dependents import OPEN_BILLS, Dependents
from tmf_apis.rest.pipeline.party_rules import READ_ONLY
from tmf_apis.rest.pipeline.policy import ApiModule, ResourcePolicy
from tmf_apis.security.identity import EVERYONE
from tmf_apis.settings import Settings

__all__ = ["api_module"]


def api_module(settings: Settings) -> ApiModule:  # noqa: ARG001
    """Return the API module; the server creates bills, clients request them."""
    policies = {
        "CustomerBill": ResourcePolicy(
            lifecycle=rules.BILL_LIFECYCLE,
            server_owned=rules.SERVER_OWNED,
            on_create=rules.on_create_bill,
            on_change=rules.on_change_bill,
            parties=rules.parties,
            party_rules=replace(READ_ONLY, holds={ACCOUNT: ("billingAccount.id",)}),
        ),
        "AppliedCustomerBillingRate": ResourcePolicy(
            on_create=rules.on_create_rate,
            parties=rules.parties,
            party_rules=replace(READ_ONLY, holds={ACCOUNT: ("billingAccount.id",)}),
        ),
        "BillCycle": ResourcePolicy(
            parties=lambda _: (EVERYONE,),
            needed_by=(Dependents("CustomerBill", "billCycle.id", OPEN_BILLS),),
        ),
        "CustomerBillOnDemand": ResourcePolicy(
            lifecycle=rules.TASK_LIFECYCLE,
            server_owned=frozenset({"customerBill", "failure", "lastUpdate"}),
            on_create=rules.on_create_task,
            on_change=rules.on_change_task,
            run_in_background=actions.produce_bill,
            parties=rules.parties,
        ),
    }
    return ApiModule(number="TMF678", policies=policies, models=model.MODELS)
