"""TMF622: what differs between v4 and v5."""

from tmf_apis.rest.views.parts import Views, boxed, related_party
from tmf_apis.rest.views.steps import First, Nest, Rename, Unwrap, Wrap, typed

VIEWS: Views = {
    "ProductOrder": (
        Nest("productOrderItem", "Item"),
        Nest("relatedParty", "RelatedParty"),
        Nest("channel", "Channel"),
        # One text in v4, a list of ExternalIdentifier in v5: v4 sees what more there is beside it.
        Wrap("externalIdDetail", {"externalId": "id"}, "ExternalIdentifier"),
        First("externalIdDetail", "furtherExternalId"),
        Rename(externalIdDetail="externalId"),
        Rename(orderDate="creationDate"),
    ),
    "Item": (
        Nest("product", "Product"),
        Nest("productOrderItem", "Item"),
        Nest("quoteItem", "QuoteItem"),
        Nest("productOfferingQualificationItem", "QualificationItem"),
    ),
    "Channel": (boxed("channel", "ChannelRef"),),
    "QuoteItem": (Rename(id="quoteItemId"),),
    "QualificationItem": (Rename(id="itemId"),),
    "Product": (
        Nest("product", "Product"),
        Nest("productRelationship", "ProductRelationship"),
        Nest("relatedParty", "PartyOfProduct"),
        Nest("place", "Place"),
        Nest("agreement", "AgreementItem"),
        Nest("productOrderItem", "RelatedOrderItem"),
        Nest("productPrice", "ProductPrice"),
        Rename(agreement="agreementItem"),
    ),
    "ProductRelationship": (
        Nest("product", "Product"),
        Unwrap("product", "id", "href", "name", "@referredType"),
    ),
    "ProductPrice": (Rename(productPriceAlteration="priceAlteration"),),
    "AgreementItem": (Rename(id="agreementId", href="agreementHref", name="agreementName"),),
    "RelatedOrderItem": (
        Rename(productOrderId="orderId", productOrderHref="orderHref"),
        *typed("RelatedProductOrderItem", "RelatedOrderItem"),
    ),
    "Place": (boxed("place", "PlaceRef"),),
    "RelatedParty": related_party(),
    "PartyOfProduct": related_party(new="RelatedPartyOrPartyRole"),
}
