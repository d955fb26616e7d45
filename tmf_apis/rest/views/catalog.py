"""TMF620: what differs between v4 and v5."""

from tmf_apis.rest.views.moves import Unwrap, Wrap
from tmf_apis.rest.views.parts import Views, related_party
from tmf_apis.rest.views.steps import Nest, Rename, typed

VIEWS: Views = {
    "ProductCatalog": (
        Nest(relatedParty="RelatedParty"),
        typed("Catalog", "ProductCatalog"),
    ),
    "Category": (Wrap("parent", {"parentId": "id"}, "CategoryRef"),),
    "ProductOffering": (Nest(productOfferingPrice="OfferedPrice"),),
    "ProductOfferingPrice": (
        Nest(constraint="Constraint"),
        Rename(constraint="policy"),
    ),
    "ProductSpecification": (
        Nest(relatedParty="RelatedParty", productSpecCharacteristic="Characteristic"),
    ),
    # A price inside an offering: v4 has amounts in an object of their own (ProductPriceValue).
    "OfferedPrice": (
        Nest(constraint="Constraint", price="Price"),
        Unwrap("price", "percentage"),
        Rename(constraint="policy", recurringChargePeriod="recurringChargePeriodType"),
    ),
    "Price": (Unwrap("dutyFreeAmount", "unit", "value"),),
    "Constraint": (typed("ConstraintRef", "PolicyRef"),),
    "Characteristic": (
        Nest(productSpecCharRelationship="CharacteristicRelationship"),
        Rename(
            productSpecCharRelationship="charSpecRelationship",
            productSpecCharacteristicValue="characteristicValueSpecification",
        ),
        typed("ProductSpecificationCharacteristic", "CharacteristicSpecification"),
    ),
    "CharacteristicRelationship": (
        Rename(id="characteristicSpecificationId", href="parentSpecificationHref"),
        typed(
            "ProductSpecificationCharacteristicRelationship",
            "CharacteristicSpecificationRelationship",
        ),
    ),
    "RelatedParty": related_party(),
}
