"""TMF620: the differences between v4 and v5."""

from tmf_apis.rest.views.shared_views import Views, related_party
from tmf_apis.rest.views.structural_transforms import Unwrap, Wrap
from tmf_apis.rest.views.transforms import NestedViews, Rename, type_rename

VIEWS: Views = {
    "ProductCatalog": (
        NestedViews(relatedParty="RelatedParty"),
        type_rename("Catalog", "ProductCatalog"),
    ),
    "Category": (Wrap("parent", {"parentId": "id"}, "CategoryRef"),),
    "ProductOffering": (NestedViews(productOfferingPrice="OfferedPrice"),),
    "ProductOfferingPrice": (
        NestedViews(constraint="Constraint"),
        Rename(constraint="policy"),
    ),
    "ProductSpecification": (
        NestedViews(relatedParty="RelatedParty", productSpecCharacteristic="Characteristic"),
    ),
    # A price inside an offering: v4 nests the amounts in an object (ProductPriceValue).
    "OfferedPrice": (
        NestedViews(constraint="Constraint", price="Price"),
        Unwrap("price", "percentage"),
        Rename(constraint="policy", recurringChargePeriod="recurringChargePeriodType"),
    ),
    "Price": (Unwrap("dutyFreeAmount", "unit", "value"),),
    "Constraint": (type_rename("ConstraintRef", "PolicyRef"),),
    "Characteristic": (
        NestedViews(productSpecCharRelationship="CharacteristicRelationship"),
        Rename(
            productSpecCharRelationship="charSpecRelationship",
            productSpecCharacteristicValue="characteristicValueSpecification",
        ),
        type_rename("ProductSpecificationCharacteristic", "CharacteristicSpecification"),
    ),
    "CharacteristicRelationship": (
        Rename(id="characteristicSpecificationId", href="parentSpecificationHref"),
        type_rename(
            "ProductSpecificationCharacteristicRelationship",
            "CharacteristicSpecificationRelationship",
        ),
    ),
    "RelatedParty": related_party(),
}
