"""The contracts in ``openapi/`` as values, and the cache that makes the start fast."""

import dataclasses
import shutil

import orjson
import pytest

from tests.support.paths import OPENAPI
from tmf_apis.rest.contracts.contract import event_types, load_contracts


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cache")
    load_contracts(OPENAPI, folder)
    return folder


@pytest.fixture(scope="module")
def contracts(cache):
    return {
        (contract.number, contract.version): contract for contract in load_contracts(OPENAPI, cache)
    }


@pytest.fixture
def contracts_dir(tmp_path):
    """A folder with one contract."""
    folder = tmp_path / "openapi"
    folder.mkdir()
    shutil.copy(OPENAPI / "TMF629-v4.yaml", folder)
    return folder


def operation(contract, name):
    return next(operation for operation in contract.operations if operation.operation_id == name)


def test_contracts_are_ordered_by_number_and_version(contracts):
    files = {file.stem for file in OPENAPI.glob("*.yaml")}
    assert {f"{number}-{version}" for number, version in contracts} == files
    assert list(contracts) == sorted(contracts)


def test_a_contract_has_its_title_and_mount_paths(contracts):
    contract = contracts["TMF620", "v4"]
    assert contract.title == "TMF620 Product Catalog Management"
    assert contract.api_name == "productCatalogManagement"
    assert contract.base_path == "/tmf-api/productCatalogManagement/v4"
    assert contract.mounts == (contract.base_path,)


def test_an_api_outside_tm_forum_has_a_word_in_place_of_a_number(contracts):
    contract = contracts["NETWORK", "v5"]
    assert contract.base_path == "/tmf-api/networkOperations/v5"
    assert operation(contract, "listNetworkAudit").scopes == ("network:read",)


def test_the_base_path_of_version_5_has_aliases(contracts):
    published = {
        "TMF620": "productCatalog",
        "TMF622": "productOrdering",
        "TMF629": "customer",
        "TMF639": "resourceInventory",
        "TMF642": "alarm",
        "TMF678": "customerBill",
    }
    for number, name in published.items():
        contract = contracts[number, "v5"]
        api = contract.api_name
        assert contract.mounts == (
            f"/tmf-api/{api}/v5", f"/tmf-api/{name}/v5", f"/{name}/v5", f"/{api}/v5",
        )  # fmt: skip


def test_no_two_contracts_have_the_same_path(contracts):
    mounts = [mount for contract in contracts.values() for mount in contract.mounts]
    assert len(set(mounts)) == len(mounts)


def test_alarms_of_version_4_have_a_second_mount(contracts):
    assert contracts["TMF642", "v4"].mounts == (
        "/tmf-api/alarmManagement/v4",
        "/tmf-api/alarm/v4",
    )


@pytest.mark.parametrize(
    ("key", "name", "expected"),
    [
        (("TMF620", "v4"), "listCatalog", ("list", "Catalog", "ProductCatalog", None)),
        (("TMF620", "v4"), "deleteCatalog", ("delete", "Catalog", "ProductCatalog", None)),
        (("TMF620", "v5"), "createCategory", ("create", "Category", "Category", "Category_FVO")),
        (
            ("TMF622", "v5"),
            "patchProductOrder",
            ("patch", "ProductOrder", "ProductOrder", "ProductOrder_MVO"),
        ),
        (("TMF639", "v5"), "retrieveResource", ("retrieve", "Resource", "Resource", None)),
        (("TMF639", "v4"), "listPhysicalResource", ("list", "PhysicalResource", "Resource", None)),
        (
            ("TMF639", "v4"),
            "updateLogicalResource",
            ("replace", "LogicalResource", "Resource", "LogicalResource_Update"),
        ),
        (
            ("TMF642", "v4"),
            "createUnAckAlarms",
            ("create", "UnAckAlarms", "UnAckAlarm", "UnAckAlarms_Create"),
        ),
        (("TMF642", "v5"), "hubGet", ("subscription", "Hub", "", None)),
        (("TMF642", "v5"), "hubDelete", ("unsubscribe", "Hub", "", None)),
        (("TMF678", "v5"), "hubDelete", ("unsubscribe", "Hub", "", None)),
        (
            ("TMF678", "v4"),
            "registerListener",
            ("subscribe", "EventSubscription", "", "EventSubscriptionInput"),
        ),
    ],
)
def test_an_operation_has_its_action_schema_and_kind(contracts, key, name, expected):
    entry = operation(contracts[key], name)
    assert (entry.action, entry.schema, entry.kind, entry.body_schema) == expected


def test_an_operation_has_its_path_and_scope(contracts):
    entry = operation(contracts["TMF642", "v4"], "patchAlarm")
    assert (entry.method, entry.path, entry.resource) == ("patch", "/alarm/{id}", "alarm")
    assert entry.scopes == ("tmf642:update",)


def test_a_listener_has_its_event_type(contracts):
    entry = operation(contracts["TMF622", "v5"], "productOrderMilestoneEvent")
    assert (entry.action, entry.event_type, entry.kind) == (
        "listen",
        "ProductOrderMilestoneEvent",
        "",
    )
    assert entry.scopes == ("tmf622:notify",)


def test_the_kinds_are_the_same_in_both_versions_except_bill_cycles(contracts):
    in_both = {number for number, version in contracts if version == "v5"} - {"NETWORK"}

    def kinds(version):
        return {
            operation.kind
            for contract in contracts.values()
            if contract.version == version and contract.number in in_both
            for operation in contract.operations
        }

    assert kinds("v5") - kinds("v4") == {"BillCycle"}
    assert kinds("v4") <= kinds("v5")


def test_no_two_apis_have_resources_of_one_kind(contracts):
    owners = {}
    for contract in contracts.values():
        for entry in contract.operations:
            if entry.kind:
                owners.setdefault(entry.kind, set()).add(contract.number)
    assert {kind: numbers for kind, numbers in owners.items() if len(numbers) > 1} == {}


def test_event_types_have_the_spelling_of_the_contract(contracts):
    assert "CatalogBatchEvent" in event_types(contracts["TMF620", "v4"])
    assert "ProductOrderStateChangeEvent" in event_types(contracts["TMF622", "v5"])
    assert event_types(contracts["TMF678", "v4"]) == event_types(contracts["TMF678", "v5"])


def test_a_contract_is_immutable(contracts):
    with pytest.raises(dataclasses.FrozenInstanceError):
        contracts["TMF620", "v4"].api_name = "other"


def test_cached_contracts_equal_parsed_ones(contracts):
    fresh = {(contract.number, contract.version): contract for contract in load_contracts(OPENAPI)}
    assert fresh == contracts
    assert all(fresh[key].document == contracts[key].document for key in fresh)


def test_a_cached_contract_is_not_parsed_again(contracts_dir, tmp_path):
    cache = tmp_path / "cache"
    load_contracts(contracts_dir, cache)
    file = cache / "TMF629-v4.json"
    file.write_bytes(file.read_bytes().replace(b"TMF629 Customer", b"TMF629 Cached"))
    assert load_contracts(contracts_dir, cache)[0].title == "TMF629 Cached Management"


def test_a_changed_contract_is_read_again(contracts_dir, tmp_path):
    cache = tmp_path / "cache"
    load_contracts(contracts_dir, cache)
    file = contracts_dir / "TMF629-v4.yaml"
    file.write_text(file.read_text("utf-8").replace("TMF629 Customer", "TMF629 Client"), "utf-8")
    assert load_contracts(contracts_dir, cache)[0].title == "TMF629 Client Management"
    assert load_contracts(contracts_dir, cache)[0].title == "TMF629 Client Management"


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b'{"sha256":1}', b"\xff\x00"])
def test_a_damaged_cache_file_is_rewritten(contracts_dir, tmp_path, damage):
    cache = tmp_path / "cache"
    load_contracts(contracts_dir, cache)
    file = cache / "TMF629-v4.json"
    file.write_bytes(damage)
    assert load_contracts(contracts_dir, cache)[0].number == "TMF629"
    assert orjson.loads(file.read_bytes())["document"]["info"]["title"]


def test_a_cached_document_of_the_wrong_type_is_ignored(contracts_dir, tmp_path):
    cache = tmp_path / "cache"
    load_contracts(contracts_dir, cache)
    file = cache / "TMF629-v4.json"
    digest = orjson.loads(file.read_bytes())["sha256"]
    file.write_bytes(orjson.dumps({"sha256": digest, "document": "gone"}))
    assert load_contracts(contracts_dir, cache)[0].number == "TMF629"


def test_the_cache_has_no_temporary_files(contracts_dir, tmp_path):
    cache = tmp_path / "cache"
    load_contracts(contracts_dir, cache)
    assert [file.name for file in cache.iterdir()] == ["TMF629-v4.json"]


def test_an_unwritable_cache_is_ignored(contracts_dir, tmp_path):
    file = tmp_path / "file"
    file.write_text("in the way")
    assert load_contracts(contracts_dir, file / "cache")[0].number == "TMF629"


def test_a_folder_without_contracts_is_refused(tmp_path):
    with pytest.raises(ValueError, match="there is no contract"):
        load_contracts(tmp_path)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "openapi: 3.0.3",
        "a: [",
        "openapi: 3.0.3\ninfo: {title: t}\nservers: []\npaths: {}",
        "openapi: 3.0.3\ninfo: {title: t}\nservers: [{url: /a/b}]\npaths: {/a/b/c: {get: {}}}",
    ],
)
def test_an_invalid_contract_is_reported_with_its_file_name(tmp_path, text):
    (tmp_path / "TMF999-v1.yaml").write_text(text)
    with pytest.raises(ValueError, match=r"TMF999-v1\.yaml is not a contract"):
        load_contracts(tmp_path)


def test_an_invalid_operation_is_reported_with_its_path_and_what_is_missing(tmp_path):
    text = (OPENAPI / "TMF629-v5.yaml").read_text("utf-8")
    file = tmp_path / "TMF629-v5.yaml"
    file.write_text(text.replace("application/json:", "application/json;charset=utf-8:"), "utf-8")
    with pytest.raises(
        ValueError, match=r"contract: (GET|POST) /\w+: application/json is missing$"
    ):
        load_contracts(tmp_path)


def test_a_further_api_needs_only_its_contract_file(tmp_path):
    file = OPENAPI / "TMF629-v5.yaml"
    text = file.read_text("utf-8").replace("customerManagement", "partyRoleManagement")
    (tmp_path / "TMF669-v5.yaml").write_text(text, "utf-8")
    (contract,) = load_contracts(tmp_path)
    assert (contract.number, contract.api_name) == ("TMF669", "partyRoleManagement")
