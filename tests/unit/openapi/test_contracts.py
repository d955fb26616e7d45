"""The contracts in ``openapi/``: compared with the published ones, and with common rules."""

import copy
import re

import pytest
from openapi_spec_validator import OpenAPIV30SpecValidator

from tests.support.contracts.facts import (
    CONTRACTS_DIR,
    FINGERPRINT,
    METHODS,
    document_facts,
    fingerprint_text,
    known_facts,
    read_yaml,
    stored_facts,
)

FILES = sorted(file.stem for file in CONTRACTS_DIR.glob("*.yaml"))
#: The contracts of TM Forum; the others are this project's own.
OFFICIAL = [stem for stem in FILES if stem.startswith("TMF")]
NUMBERS = ("TMF620", "TMF622", "TMF629", "TMF639", "TMF642", "TMF678")
#: The APIs that are only served in version 4.
ONLY_V4 = ("TMF633", "TMF634", "TMF637", "TMF638", "TMF641", "TMF645")
VERBS = {"get": "read", "post": "create", "put": "update", "patch": "update", "delete": "delete"}

#: Facts of an operation that the published contract need not have.
_ADDED = (
    r"query (before|after|sort|filter): string",
    r"query dryRun: boolean",
    r"header (If-Match|If-None-Match|Idempotency-Key|Prefer): string",
    r"answer (202|206|304|4\d\d|5\d\d)",
    r"(4|5)\d\d application/json: #Error",
    r"206 application/json(: array|\[\]: #\w+)",
    r"(200|206) header Link: string",
    r"206 header X-(Total|Result)-Count: integer",
    r"(200|201|304) header ETag: string",
    r"(201|202) header Location: string",
    r"401 header WWW-Authenticate: string",
    r"405 header Allow: string",
    r"(429|503) header Retry-After: integer",
    r"body application/merge-patch\+json: #\w+_Update",
    r"body application/json-patch(-query)?\+json: #JsonPatchOperations",
)
ADDED = re.compile("|".join(_ADDED))
#: The types of a location in GeoJSON, which the published mapping lacks.
GEOJSON = re.compile(
    r" mapping GeoJson(Point|MultiPoint|LineString|MultiLineString|Polygon) "
    r"#GeographicLocation(_FVO|_MVO)?"
)
#: Suffixes of merge patch schemas. A merge patch has no mandatory attributes, so these facts are
#: not compared.
UPDATE = ("_Update", "_MVO")
MANDATORY = re.compile(r"\S* required \S+")
ENTITY_MVO = ({" allOf #Extensible"}, {" allOf #Extensible_MVO"})
URI = "@schemaLocation: string/uri"
EXTENSIBLE = {"@type: string", "@baseType: string", "@schemaLocation: string"}


def dry_run(order):
    """Return the facts that ``dryRun`` adds to the POST of an order."""
    return set(), {"answer 200", f"200 application/json: #{order}"}


#: Deviations of schemas and bodies from the published contract: missing facts, additional facts.
READINGS = {
    ("TMF620-v5", "Entity_MVO"): ENTITY_MVO,
    ("TMF622-v5", "Entity_MVO"): ENTITY_MVO,
    ("TMF678-v5", "Entity_MVO"): ENTITY_MVO,
    ("TMF622-v4", "POST /productOrder"): dry_run("ProductOrder"),
    ("TMF622-v5", "POST /productOrder"): dry_run("ProductOrder"),
    ("TMF641-v4", "POST /serviceOrder"): dry_run("ServiceOrder"),
    **{
        ("TMF637-v4", name): (set(), {"@type: string", "@baseType: string", URI})
        for name in ("Product", "Product_Create", "Product_Update")
    },
    **{
        (contract, "ProductStatusType"): (set(), {" enum aborted"})
        for contract in ("TMF622-v4", "TMF622-v5", "TMF637-v4")
    },
    ("TMF642-v4", "Alarm"): ({"id: integer"}, {"id: string"}),
    ("TMF642-v4", "AlarmRefOrValue"): ({"id: integer"}, {"id: string"}),
    ("TMF642-v5", "Alarm_MVO"): (
        {" allOf #Entity"},
        {" allOf #Addressable", " allOf #Extensible_MVO"},
    ),
    ("TMF629-v5", "PartyRole_MVO"): (
        {" allOf #Entity"},
        {" allOf #Addressable", *EXTENSIBLE},
    ),
    ("TMF639-v5", "PATCH /resource/{id}"): (
        {f"body application/{media}json: #Resource" for media in ("", "merge-patch+")},
        {f"body application/{media}json: #Resource_MVO" for media in ("", "merge-patch+")},
    ),
}
#: Schemas that the published contract lacks.
OWN = {
    **{f"{number}-v4": {"JsonPatch", "JsonPatchOperations"} for number in (*NUMBERS, *ONLY_V4)},
    **{f"{number}-v5": {"Extensible_MVO"} for number in ("TMF620", "TMF622", "TMF642", "TMF678")},
    "TMF639-v5": {"Resource_MVO"},
    "TMF629-v5": set(),
}


#: Operations that some published contracts lack.
OWN_OPERATIONS = {"GET /hub", "GET /hub/{id}"}
#: A fact of the events that report a change.
FIELD_PATH = "fieldPath: string"


def differences(stem, theirs, ours):
    """Return the facts that our document lacks and those that it may not add, as sentences."""
    sentences = []
    for section in ("operations", "schemas"):
        extra = set(ours[section]) - set(theirs[section])
        extra -= OWN[stem] if section == "schemas" else OWN_OPERATIONS
        sentences += [f"{name} is not published" for name in sorted(extra)]
        for name, lines in theirs[section].items():
            if name not in ours[section]:
                sentences.append(f"{name} is missing")
            else:
                sentences += _line_differences(stem, name, set(lines), set(ours[section][name]))
    return sentences


def _line_differences(stem, name, theirs, ours):
    less, more = READINGS.get((stem, name), (set(), set()))
    missing, added = theirs - ours - less, ours - theirs - more
    if name.endswith(UPDATE):
        missing = {line for line in missing if not MANDATORY.fullmatch(line)}
    if " " in name:
        added = {line for line in added if not ADDED.fullmatch(line)}
    else:
        added = {line for line in added if not GEOJSON.fullmatch(line)}
    if name.endswith("ChangeEvent"):
        added.discard(FIELD_PATH)
    return [f"{name} lacks {line!r}" for line in sorted(missing)] + [
        f"{name} has {line!r}" for line in sorted(added)
    ]


@pytest.fixture(scope="session")
def documents():
    return {stem: read_yaml(CONTRACTS_DIR / f"{stem}.yaml") for stem in FILES}


@pytest.fixture(scope="session")
def theirs():
    return stored_facts()


@pytest.fixture(params=FILES)
def stem(request):
    return request.param


@pytest.fixture
def document(documents, stem):
    return documents[stem]


def operations(document):
    for path, item in document["paths"].items():
        for method in METHODS:
            if method in item:
                yield path, method, item[method]


def attributes(schema, place):
    """Yield the path and schema of every attribute, including those of nested objects."""
    for name, attribute in schema.get("properties", {}).items():
        yield f"{place}.{name}", attribute
        yield from attributes(attribute, f"{place}.{name}")
    for part in (*schema.get("allOf", ()), *schema.get("oneOf", ())):
        yield from attributes(part, place)
    if "items" in schema:
        yield from attributes(schema["items"], f"{place}[]")


def test_each_api_has_a_contract_in_each_of_its_versions(theirs):
    both = [f"{number}-{version}" for number in NUMBERS for version in ("v4", "v5")]
    assert sorted([*both, *(f"{number}-v4" for number in ONLY_V4)]) == OFFICIAL
    assert sorted(theirs) == OFFICIAL


def test_the_fingerprint_is_that_of_the_published_contracts():
    """A contract without a published file is compared with its stored fingerprint."""
    assert FINGERPRINT.read_text("utf-8") == fingerprint_text(known_facts())


@pytest.mark.parametrize("stem", OFFICIAL)
def test_nothing_published_is_missing_changed_or_added_to(stem, documents, theirs):
    assert differences(stem, theirs[stem], document_facts(documents[stem])) == []


def test_every_reading_is_still_needed(documents, theirs):
    for (stem, name), (less, more) in READINGS.items():
        section = "operations" if " " in name else "schemas"
        ours = set(document_facts(documents[stem])[section][name])
        assert less <= set(theirs[stem][section][name]) - ours
        assert more <= ours


def test_every_event_of_a_change_names_the_changed_attributes(document):
    for name, lines in document_facts(document)["schemas"].items():
        if name.endswith("ChangeEvent"):
            assert FIELD_PATH in lines, name


def test_every_hub_lists_and_returns_subscriptions(document):
    for path in ("/hub", "/hub/{id}"):
        hub = document["paths"][path]
        assert hub["get"]["security"] == document["paths"]["/hub"]["post"]["security"]
        assert {"200", "404"} <= set(hub["get"]["responses"])


def test_a_resource_update_has_every_attribute_of_a_resource(documents):
    schemas = documents["TMF639-v5"]["components"]["schemas"]
    inherited = {}
    for name in ("Addressable", "Extensible"):
        inherited |= schemas[name]["properties"]
    for part in schemas["Resource"]["allOf"]:
        inherited |= part.get("properties", {})
    update = document_facts(documents["TMF639-v5"])["schemas"]["Resource_MVO"]
    whole = {"paths": {}, "components": {"schemas": {"R": {"properties": inherited}}}}
    assert set(document_facts(whole)["schemas"]["R"]) - {": "} == set(update) - {": object"}


# The comparison reports differences.


def differences_after(documents, theirs, stem, edit):
    document = copy.deepcopy(documents[stem])
    edit(document)
    return differences(stem, theirs[stem], document_facts(document))


def schema(document, name):
    return document["components"]["schemas"][name]


def test_a_removed_attribute_is_noticed(documents, theirs):
    sentences = differences_after(
        documents,
        theirs,
        "TMF620-v4",
        lambda document: schema(document, "Category")["properties"].pop("parentId"),
    )
    assert sentences == ["Category lacks 'parentId: string'"]


def test_a_changed_type_is_noticed(documents, theirs):
    def edit(document):
        schema(document, "Category")["properties"]["isRoot"]["type"] = "string"

    assert differences_after(documents, theirs, "TMF620-v4", edit) == [
        "Category lacks 'isRoot: boolean'",
        "Category has 'isRoot: string'",
    ]


def test_a_dropped_enumeration_value_is_noticed(documents, theirs):
    sentences = differences_after(
        documents,
        theirs,
        "TMF622-v5",
        lambda document: schema(document, "ProductOrderStateType")["enum"].remove("held"),
    )
    assert sentences == ["ProductOrderStateType lacks ' enum held'"]


def test_a_dropped_mandatory_attribute_is_noticed(documents, theirs):
    sentences = differences_after(
        documents,
        theirs,
        "TMF629-v4",
        lambda document: schema(document, "Customer_Create")["required"].remove("name"),
    )
    assert sentences == ["Customer_Create lacks ' required name'"]


def test_another_reference_is_noticed(documents, theirs):
    def edit(document):
        valid = schema(document, "Category")["properties"]["validFor"]
        valid["allOf"][0]["$ref"] = "#/components/schemas/Money"

    assert differences_after(documents, theirs, "TMF620-v4", edit) == [
        "Category lacks 'validFor: #TimePeriod'",
        "Category has 'validFor: #Money'",
    ]


def test_another_discriminator_is_noticed(documents, theirs):
    def edit(document):
        mapping = schema(document, "Category")["discriminator"]["mapping"]
        mapping["Category"] = "#/components/schemas/Category_MVO"

    assert differences_after(documents, theirs, "TMF620-v5", edit) == [
        "Category lacks ' mapping Category #Category'",
        "Category has ' mapping Category #Category_MVO'",
    ]


@pytest.mark.parametrize(
    ("edit", "sentence"),
    [
        (lambda paths: paths.pop("/hub"), "POST /hub is missing"),
        (lambda paths: paths["/alarm/{id}"].pop("patch"), "PATCH /alarm/{id} is missing"),
        (
            lambda paths: paths["/alarm"]["get"]["parameters"].pop(0),
            "GET /alarm lacks 'query fields: string'",
        ),
        (
            lambda paths: paths["/alarm"]["get"]["responses"].pop("405"),
            "GET /alarm lacks 'answer 405'",
        ),
        (
            lambda paths: paths["/alarm"]["get"].update(operationId="alarms"),
            "GET /alarm lacks 'operationId listAlarm'",
        ),
    ],
)
def test_a_change_of_an_operation_is_noticed(documents, theirs, edit, sentence):
    sentences = differences_after(
        documents, theirs, "TMF642-v4", lambda document: edit(document["paths"])
    )
    assert sentence in sentences


def test_an_attribute_of_our_own_is_noticed(documents, theirs):
    def edit(document):
        schema(document, "Alarm")["properties"]["colour"] = {"type": "string"}

    assert differences_after(documents, theirs, "TMF642-v4", edit) == ["Alarm has 'colour: string'"]


# Rules for every contract.


def test_a_contract_is_valid_openapi(document):
    assert document["openapi"].startswith("3.0.")
    assert list(OpenAPIV30SpecValidator(document).iter_errors()) == []


def test_every_operation_has_a_summary_and_a_name_of_its_own(document):
    names = [operation["operationId"] for _, _, operation in operations(document)]
    assert len(names) == len(set(names))
    assert all(operation["summary"] for _, _, operation in operations(document))


#: Scopes that depend on the resource and not on the operation.
FURTHER_SCOPES = {"tmf639": {"tmf639:elements"}}


def test_every_operation_asks_for_the_scope_of_its_verb(stem, document):
    number = stem.rpartition("-")[0].lower()
    scheme = document["components"]["securitySchemes"]["oauth2"]
    declared = set(scheme["flows"]["clientCredentials"]["scopes"])
    used = set()
    for path, method, operation in operations(document):
        first = path.split("/")[1]
        verb = {"hub": "subscribe", "listener": "notify"}.get(first, VERBS[method])
        assert operation["security"] == [{"oauth2": [f"{number}:{verb}"]}], (method, path)
        used.add(f"{number}:{verb}")
    assert declared - used == FURTHER_SCOPES.get(number, set())
    assert used <= declared


def test_every_tag_is_described(document):
    described = {tag["name"] for tag in document["tags"] if tag["description"]}
    assert {tag for *_, operation in operations(document) for tag in operation["tags"]} == described


def test_every_schema_and_attribute_is_described(document):
    schemas = document["components"]["schemas"]
    undescribed = [name for name, schema in schemas.items() if not schema.get("description")]
    for name, schema in schemas.items():
        undescribed += [
            place for place, part in attributes(schema, name) if not part.get("description")
        ]
    assert undescribed == []


def test_every_component_is_used(document):
    """Schemas are excepted, because published contracts have unused ones."""
    text = str(document)
    unused = [
        name
        for part in ("parameters", "headers", "requestBodies", "responses")
        for name in document["components"].get(part, ())
        if f"'#/components/{part}/{name}'" not in text
    ]
    assert unused == []


def test_every_patch_operation_accepts_four_media_types(document):
    for path, method, operation in operations(document):
        if method == "patch":
            reference = operation["requestBody"]["$ref"].rpartition("/")[2]
            content = document["components"]["requestBodies"][reference]["content"]
            assert set(content) == {
                "application/merge-patch+json",
                "application/json",
                "application/json-patch+json",
                "application/json-patch-query+json",
            }, path


def test_nothing_is_mandatory_in_a_merge_patch(document):
    schemas = document["components"]["schemas"]

    def mandatory(schema):
        names = list(schema.get("required", ()))
        for part in schema.get("allOf", ()):
            names += mandatory(schemas[part["$ref"].rpartition("/")[2]] if "$ref" in part else part)
        return names

    for body in document["components"].get("requestBodies", {}).values():
        reference = body["content"]["application/merge-patch+json"]["schema"]["$ref"]
        assert mandatory(schemas[reference.rpartition("/")[2]]) == [], reference


def test_every_deviation_from_the_published_contract_is_explained(document, stem):
    for file, name in READINGS:
        if file == stem and " " not in name:
            assert document["components"]["schemas"][name]["x-reading"]
    for name in OWN.get(stem, set()) - {"JsonPatch", "JsonPatchOperations"}:
        assert document["components"]["schemas"][name]["x-reading"]
