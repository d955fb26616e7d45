"""The table of personal attributes: the rules that are in force by default, as data.

``personal_attributes`` has the form of a rule.
"""

#: Members that are never personal: they identify, type or order the parts of a resource.
STRUCTURAL_MEMBERS = frozenset(
    {"id", "href", "role", "preferred", "validFor", "mediumType", "contactType", "valueType"}
)

_CONTACT = ("contactMedium", "notificationContact")
_IDENTIFICATION = (
    "individualIdentification",
    "organizationIdentification",
    "taxExemptionCertificate",
)
_BIRTH = ("birthDate", "placeOfBirth", "countryOfBirth")
_ADDRESSES = ("place", "geographicAddress", "geographicSubAddress", "geographicLocation")
_MESSAGES = (
    *("CommunicationMessage.content", "CommunicationMessage.subject"),
    *("CommunicationMessage.sender", "CommunicationMessage.receiver"),
)
#: The rules that are always in force, unless the operator removes them.
DEFAULT_RULES = (*_CONTACT, *_IDENTIFICATION, *_BIRTH, *_ADDRESSES, *_MESSAGES)
#: The rules for names of persons, if the operator wants names to be personal.
NAME_RULES = (
    *("Customer.name", "Individual.name", "Organization.name", "account.name"),
    *("engagedParty.name", "relatedParty.name", "partyOrPartyRole.name"),
    *("partyOrPartyRole.partyName", "billingAccount.name", "billTo.name"),
    *("givenName", "middleName", "familyName", "fullName", "formattedName", "preferredGivenName"),
)
#: Names of characteristics that are personal by default; case and separators do not count.
DEFAULT_CHARACTERISTICS = (
    *("birthDate", "dateOfBirth", "placeOfBirth", "email", "emailAddress", "phone", "phoneNumber"),
    *("mobileNumber", "faxNumber", "contactName", "contactPhone", "contactEmail"),
    *("postalAddress", "homeAddress", "street", "streetName", "postcode", "city"),
    *("passportNumber", "identityCardNumber", "nationalId", "socialSecurityNumber", "taxId"),
)
#: Kinds that describe the operator's catalogues, network and work, and no person.
IMPERSONAL_KINDS = frozenset(
    {
        *("Category", "ProductCatalog", "ProductOffering", "ProductOfferingPrice"),
        *("ProductSpecification", "ImportJob", "ExportJob"),
        *("ServiceCandidate", "ServiceCatalog", "ServiceCategory", "ServiceSpecification"),
        *("ServiceImportJob", "ServiceExportJob"),
        *("ResourceCandidate", "ResourceCatalog", "ResourceCategory", "ResourceSpecification"),
        *("ResourceImportJob", "ResourceExportJob"),
        *("Resource", "Alarm", "AckAlarm", "ClearAlarm", "CommentAlarm", "GroupAlarm"),
        *("UnAckAlarm", "UnGroupAlarm", "BillCycle"),
        *("CapacityReport", "FalloutTask", "NetworkAudit", "NetworkDiscovery"),
        "ResolveDifference",
    }
)
