"""TMF678: what differs between v4 and v5; the amounts do not."""

from tmf_apis.rest.views.parts import Views, related_party
from tmf_apis.rest.views.steps import Nest, Rename, typed

VIEWS: Views = {
    "CustomerBill": (Nest(relatedParty="RelatedParty"),),
    "CustomerBillOnDemand": (Nest(relatedParty="RelatedParty", customerBill="Bill"),),
    "AppliedCustomerBillingRate": (
        Nest(bill="Bill", characteristic="Characteristic"),
        Rename(type="appliedBillingRateType"),
    ),
    "Bill": (typed("BillRef", "CustomerBillRef"),),
    "Characteristic": (typed("AppliedBillingRateCharacteristic", "Characteristic"),),
    "RelatedParty": related_party("RelatedPartyRef"),
}
