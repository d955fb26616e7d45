"""TMF678: the differences between v4 and v5; amounts are the same in both."""

from tmf_apis.rest.views.shared_views import Views, related_party
from tmf_apis.rest.views.transforms import NestedViews, Rename, type_rename

VIEWS: Views = {
    "CustomerBill": (NestedViews(relatedParty="RelatedParty"),),
    "CustomerBillOnDemand": (NestedViews(relatedParty="RelatedParty", customerBill="Bill"),),
    "AppliedCustomerBillingRate": (
        NestedViews(bill="Bill", characteristic="Characteristic"),
        Rename(type="appliedBillingRateType"),
    ),
    "Bill": (type_rename("BillRef", "CustomerBillRef"),),
    "Characteristic": (type_rename("AppliedBillingRateCharacteristic", "Characteristic"),),
    "RelatedParty": related_party("RelatedPartyRef"),
}
