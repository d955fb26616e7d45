"""TMF622: the differences between v4 and v5."""

from tmf_apis.rest.views.shared_views import (
    Views,
    related_party,
    related_place,
    wrapped_reference,
)
from tmf_apis.rest.views.structural_transforms import FirstItem, Unwrap, Wrap
from tmf_apis.rest.views.transforms import NestedViews, Rename, type_rename

VIEWS: Views = {
    "ProductOrder": (
        NestedViews(productOrderItem="Item", relatedParty="RelatedParty", channel="Channel"),
        # A string in v4, a list of ExternalIdentifier in v5: v4 has the rest as extensions.
        Wrap("externalIdDetail", {"externalId": "id"}, "ExternalIdentifier"),
        FirstItem("externalIdDetail", "furtherExternalId"),
        Rename(externalIdDetail="externalId"),
        Rename(orderDate="creationDate"),
    ),
    # No contract declares its parties: the server copies those of the order.
    "CancelProductOrder": (NestedViews(relatedParty="RelatedParty"),),
    "Item": (
        NestedViews(
            product="Product",
            productOrderItem="Item",
            quoteItem="QuoteItem",
            productOfferingQualificationItem="QualificationItem",
        ),
    ),
    "Channel": (wrapped_reference("channel", "ChannelRef"),),
    "QuoteItem": (Rename(id="quoteItemId"),),
    "QualificationItem": (Rename(id="itemId"),),
    "Product": (
        NestedViews(
            product="Product",
            productRelationship="ProductRelationship",
            relatedParty="PartyOfProduct",
            place="Place",
            agreement="AgreementItem",
            productOrderItem="RelatedOrderItem",
            productPrice="ProductPrice",
        ),
        Rename(agreement="agreementItem"),
    ),
    "ProductRelationship": (
        NestedViews(product="Product"),
        Unwrap("product", "id", "href", "name", "@referredType"),
    ),
    "ProductPrice": (Rename(productPriceAlteration="priceAlteration"),),
    "AgreementItem": (Rename(id="agreementId", href="agreementHref", name="agreementName"),),
    "RelatedOrderItem": (
        Rename(productOrderId="orderId", productOrderHref="orderHref"),
        type_rename("RelatedProductOrderItem", "RelatedOrderItem"),
    ),
    "Place": related_place(),
    "RelatedParty": related_party(),
    "PartyOfProduct": related_party(v5_type="RelatedPartyOrPartyRole"),
}
