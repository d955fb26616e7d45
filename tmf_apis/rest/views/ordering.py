"""TMF622: what differs between v4 and v5."""

from tmf_apis.rest.views.moves import First, Unwrap, Wrap
from tmf_apis.rest.views.parts import Views, boxed, related_party
from tmf_apis.rest.views.steps import Nest, Rename, typed

VIEWS: Views = {
    "ProductOrder": (
        Nest(productOrderItem="Item", relatedParty="RelatedParty", channel="Channel"),
        # One text in v4, a list of ExternalIdentifier in v5: v4 sees what more there is beside it.
        Wrap("externalIdDetail", {"externalId": "id"}, "ExternalIdentifier"),
        First("externalIdDetail", "furtherExternalId"),
        Rename(externalIdDetail="externalId"),
        Rename(orderDate="creationDate"),
    ),
    "Item": (
        Nest(
            product="Product",
            productOrderItem="Item",
            quoteItem="QuoteItem",
            productOfferingQualificationItem="QualificationItem",
        ),
    ),
    "Channel": (boxed("channel", "ChannelRef"),),
    "QuoteItem": (Rename(id="quoteItemId"),),
    "QualificationItem": (Rename(id="itemId"),),
    "Product": (
        Nest(
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
        Nest(product="Product"),
        Unwrap("product", "id", "href", "name", "@referredType"),
    ),
    "ProductPrice": (Rename(productPriceAlteration="priceAlteration"),),
    "AgreementItem": (Rename(id="agreementId", href="agreementHref", name="agreementName"),),
    "RelatedOrderItem": (
        Rename(productOrderId="orderId", productOrderHref="orderHref"),
        typed("RelatedProductOrderItem", "RelatedOrderItem"),
    ),
    "Place": (boxed("place", "PlaceRef"),),
    "RelatedParty": related_party(),
    "PartyOfProduct": related_party(new="RelatedPartyOrPartyRole"),
}
