"""Bodies in the shapes of TM Forum's published examples, with values of this project."""

TIME = "2026-03-01T10:00:00.000Z"
PERIOD = {"startDateTime": "2026-03-01T00:00:00Z", "endDateTime": "2027-03-01T00:00:00Z"}
ATTACHMENT_V4 = {
    "id": "44", "href": "https://shop.example/document/44", "attachmentType": "Picture",
    "description": "Front of the router", "mimeType": "image/jpeg", "name": "front",
    "url": "https://shop.example/img/44.jpg", "size": {"amount": 1, "units": "MB"},
    "validFor": PERIOD, "@type": "AttachmentRefOrValue", "@referredType": "Attachment",
}  # fmt: skip
ATTACHMENT_V5 = {
    "@type": "AttachmentRefOrValue", "name": "front", "mimeType": "image/jpeg",
    "attachmentType": "Picture", "url": "https://shop.example/img/44.jpg",
}  # fmt: skip
PARTY_V4 = {"id": "7", "name": "Ada Field", "role": "Owner", "@referredType": "Individual"}
PARTY_V5 = {
    "@type": "RelatedPartyRefOrPartyRoleRef", "role": "Owner",
    "partyOrPartyRole": {
        "@type": "PartyRef", "id": "7", "name": "Ada Field", "@referredType": "Individual",
    },
}  # fmt: skip
ADDRESS_V5 = {
    "@type": "RelatedPlaceRefOrValue", "role": "installation",
    "place": {
        "@type": "PlaceRefOrValue", "id": "9912", "name": "Lake Road 5",
        "@referredType": "GeographicAddress",
    },
}  # fmt: skip
#: A completion that is before the start.
DATES = {
    "requestedStartDate": "2026-05-02T00:00:00Z",
    "requestedCompletionDate": "2026-05-01T00:00:00Z",
}

#: (API, version, collection, body)
SAMPLES = [
    ("TMF620", "v4", "catalog", {
        "name": "Wholesale", "catalogType": "ProductCatalog", "version": "1.1",
        "lifecycleStatus": "Active", "validFor": PERIOD, "relatedParty": [PARTY_V4],
        "category": [{"id": "3", "name": "Cloud", "version": "2.0", "@referredType": "Category"}],
        "@type": "Catalog",
    }),
    ("TMF620", "v4", "category", {
        "name": "Cloud", "description": "Hosted services", "isRoot": False, "parentId": "17",
        "version": "2.0", "lifecycleStatus": "Active", "validFor": PERIOD,
    }),
    ("TMF620", "v4", "productSpecification", {
        "name": "Firewall", "brand": "Acme", "isBundle": False, "productNumber": "CS-1",
        "lifecycleStatus": "Active", "attachment": [ATTACHMENT_V4], "relatedParty": [PARTY_V4],
        "productSpecCharacteristic": [{
            "name": "Screen size", "configurable": True, "valueType": "number",
            "minCardinality": 1, "maxCardinality": 1, "isUnique": True, "extensible": False,
            "productSpecCharacteristicValue": [{
                "isDefault": True, "value": {"alias": "screen", "value": "4.2"},
                "valueType": "number", "unitOfMeasure": "inches",
            }],
        }],
    }),
    ("TMF620", "v4", "productOffering", {
        "name": "Virtual storage medium", "description": "For small firms", "isBundle": False,
        "isSellable": True, "statusReason": "Released for sale", "version": "1.0",
        "lifecycleStatus": "Active", "validFor": PERIOD, "attachment": [ATTACHMENT_V4],
        "productSpecification": {"id": "9881", "name": "Storage", "version": "1.1"},
        "place": [{"id": "12", "name": "France", "@referredType": "GeographicAddress"}],
        "channel": [{"id": "13", "name": "Online"}],
        "serviceLevelAgreement": {"id": "28", "name": "Standard"},
        "productOfferingPrice": [{"id": "15", "name": "Monthly"}],
        "productOfferingTerm": [{
            "name": "12 months", "duration": {"amount": 12, "units": "month"}, "validFor": PERIOD,
        }],
        "marketSegment": [{"id": "4", "name": "Small firms"}],
    }),
    ("TMF620", "v5", "productSpecification", {
        "@type": "ProductSpecification", "name": "Firewall", "lastUpdate": TIME,
        "lifecycleStatus": "Active", "isBundle": False, "attachment": [ATTACHMENT_V5],
        "relatedParty": [PARTY_V5],
    }),
    ("TMF620", "v5", "productOfferingPrice", {
        "@type": "ProductOfferingPrice", "name": "Monthly", "priceType": "recurring",
        "lastUpdate": TIME, "lifecycleStatus": "Active", "recurringChargePeriodType": "month",
        "recurringChargePeriodLength": 1, "isBundle": False,
        "price": {"unit": "EUR", "value": 50}, "validFor": PERIOD,
        "unitOfMeasure": {"amount": 1, "units": "month"},
    }),
    ("TMF622", "v4", "productOrder", {
        "externalId": "PO-456", "priority": "1", "description": "A new line", "category": "B2C",
        **DATES, "channel": [{"id": "1", "name": "Online", "@type": "RelatedChannel"}],
        "note": [{"id": "1", "author": "Jean", "date": TIME, "text": "Call before"}],
        "relatedParty": [{**PARTY_V4, "@type": "RelatedParty"}],
        "productOrderItem": [{
            "id": "100", "quantity": 1, "action": "add", "@type": "ProductOrderItem",
            "productOffering": {"id": "14277", "name": "Fibre"},
            "product": {
                "isBundle": False, "@type": "ProductRefOrValue",
                "productSpecification": {"id": "14307", "version": "1", "name": "Fibre"},
                "productCharacteristic": [{"name": "speed", "value": "16", "valueType": "string"}],
                "place": [{"id": "9912", "name": "Lake Road 5", "role": "installation",
                           "@type": "RelatedPlaceRefOrValue"}],
            },
            "itemPrice": [{
                "name": "Monthly", "priceType": "recurring", "recurringChargePeriod": "month",
                "price": {"dutyFreeAmount": {"unit": "EUR", "value": 20},
                          "taxIncludedAmount": {"unit": "EUR", "value": 24}, "taxRate": 20},
            }],
        }],
    }),
    ("TMF622", "v5", "productOrder", {
        "@type": "ProductOrder", "description": "A new line", "category": "B2C",
        "priority": "1", **DATES, "relatedParty": [PARTY_V5],
        "externalId": [{"@type": "ExternalIdentifier", "owner": "shop",
                        "externalIdentifierType": "order", "id": "PO-456"}],
        "note": [{"@type": "Note", "author": "Jean", "date": TIME, "text": "Call before"}],
        "channel": [{"@type": "RelatedChannel", "role": "sales",
                     "channel": {"@type": "ChannelRef", "id": "1", "name": "Online"}}],
        "productOrderItem": [
            {
                "@type": "ProductOrderItem", "id": "100", "quantity": 1, "action": "add",
                "productOffering": {"@type": "ProductOfferingRef", "id": "14277"},
                "product": {
                    "@type": "ProductRefOrValue", "isBundle": False, "place": [ADDRESS_V5],
                    "productCharacteristic": [
                        {"@type": "StringCharacteristic", "name": "speed", "value": "16"},
                    ],
                    "productSpecification": {"@type": "ProductSpecificationRef", "id": "14307"},
                },
            },
        ],
    }),
    ("TMF629", "v4", "customer", {
        "name": "Moon Football Club", "status": "Created", "validFor": PERIOD,
        "engagedParty": {"id": "500", "name": "Moon FC", "@referredType": "Organization"},
        "contactMedium": [{
            "mediumType": "EmailAddress", "preferred": True,
            "characteristic": {"emailAddress": "office@moon.example"}, "validFor": PERIOD,
        }],
        "creditProfile": [{"creditProfileDate": TIME, "creditRiskRating": 1, "creditScore": 1,
                           "validFor": PERIOD}],
    }),
    ("TMF629", "v5", "customer", {
        "@type": "Customer", "name": "Moon Football Club",
        "engagedParty": {"@type": "PartyRef", "id": "500", "@referredType": "Organization"},
        "contactMedium": [{"@type": "EmailContactMedium", "preferred": True,
                           "contactType": "work", "emailAddress": "office@moon.example"}],
    }),
    ("TMF637", "v4", "product", {
        "name": "Voice over IP basic", "status": "active", "isBundle": False,
        "isCustomerVisible": True, "productSerialNumber": "Q-1", "startDate": TIME,
        "productCharacteristic": [{"name": "Storage", "valueType": "string", "value": "8 GB"}],
        "productOffering": {"id": "1513", "name": "VoIP"}, "relatedParty": [PARTY_V4],
        "productPrice": [{"name": "Monthly", "priceType": "recurring",
                          "recurringChargePeriod": "monthly",
                          "price": {"taxRate": 0, "dutyFreeAmount": {"unit": "EUR", "value": 9}}}],
    }),
    ("TMF638", "v4", "service", {
        "name": "vCPE", "category": "CFS", "serviceType": "vCPE", "state": "active",
        "isServiceEnabled": True, "hasStarted": True, "startMode": "1", "isStateful": True,
        "serviceDate": TIME, "startDate": TIME, "description": "Of a firm",
        "serviceSpecification": {"id": "1212", "name": "vCPE", "version": "1.0.0",
                                 "@type": "ServiceSpecificationRef"},
        "serviceCharacteristic": [{"name": "vCPE", "valueType": "object",
                                   "value": {"@type": "JSON", "vCPE_IP": "193.218.236.21"}}],
        "place": [{"id": "9912", "name": "Lake Road 5", "role": "installation"}],
        "note": [{"author": "Harvey", "date": TIME, "text": "Installed"}],
    }),
    ("TMF639", "v5", "resource", {
        "@type": "LogicalResource", "name": "4467780000", "category": "MSISDN",
        "operationalState": "enabled", "administrativeState": "unlocked",
        "resourceStatus": "available", "usageState": "idle",
        "validFor": PERIOD,
        "attachment": [{"@type": "AttachmentRefOrValue", "id": "44", "name": "data sheet"}],
    }),
    ("TMF641", "v4", "serviceOrder", {
        "externalId": "BSS747", "priority": "1", "description": "vCPE", "category": "TMF resource",
        **DATES, "relatedParty": [{**PARTY_V4, "role": "requester", "@type": "RelatedParty"}],
        "serviceOrderItem": [{
            "id": "1", "action": "add", "@type": "ServiceOrderItem",
            "service": {
                "@type": "Service", "state": "active", "serviceType": "CFS",
                "serviceSpecification": {"id": "12", "name": "vCPE", "version": "1"},
                "serviceCharacteristic": [{"name": "vCPE", "valueType": "string", "value": "x"}],
            },
        }],
    }),
    ("TMF642", "v5", "alarm", {
        "@type": "Alarm", "alarmType": "environmentalAlarm", "perceivedSeverity": "critical",
        "probableCause": "rectifierFailure", "sourceSystemId": "ems-1", "state": "raised",
        "alarmRaisedTime": TIME, "externalAlarmId": "5123", "specificProblem": "none",
        "alarmedObject": {"@type": "AlarmedObject", "id": "93051825"},
        "affectedService": [{"@type": "AffectedService", "id": "7",
                             "affectedService": {"@type": "ServiceRef", "id": "7"}}],
        "comment": [{"@type": "Comment", "comment": "seen", "systemId": "1", "time": TIME,
                     "userId": "u"}],
    }),
    ("TMF645", "v4", "checkServiceQualification", {
        "expectedQualificationDate": TIME, "externalId": "q-1", "instantSyncQualification": True,
        "provideAlternative": False, "provideUnavailabilityReason": True,
        "relatedParty": [{"id": "14", "role": "Requester", "@referredType": "Individual"}],
        "serviceQualificationItem": [{
            "id": "1", "expectedServiceAvailabilityDate": TIME,
            "service": {"serviceSpecification": {"id": "ADSL", "name": "ADSL"},
                        "place": [{"id": "9912", "role": "installation"}]},
        }],
    }),
    ("TMF678", "v5", "customerBillOnDemand", {
        "@type": "CustomerBillOnDemand", "name": "Bill now", "description": "On request",
        "billingAccount": {"@type": "BillingAccountRef", "id": "1513", "name": "Home"},
    }),
]  # fmt: skip
