"""Unknown attributes: accepted with a warning, or refused where the client or a setting says so."""

import json

import pytest

from tests.support.contract_collections import collections_with

CATEGORY = "/tmf-api/productCatalogManagement/v4/category"
ORDER = "/tmf-api/productOrderingManagement/v4/productOrder"
STRICT = {"Prefer": "handling=strict"}
ITEM = {"id": "1", "action": "add", "productOffering": {"id": "x"}}


@pytest.mark.parametrize("collection", collections_with("create"), ids=str)
def test_an_unknown_attribute_is_stored_with_a_warning_or_refused(api, collection):
    body = {**collection.body(api), "fooBar": 1}
    refused = api.post(collection.path, json=body, headers=STRICT)
    assert refused.status_code == 400
    assert "/fooBar: unknown attribute" in refused.json()["message"]
    stored = api.post(collection.path, json=body)
    assert stored.status_code == 201
    assert stored.headers["warning"] == '299 - "unknown attribute fooBar"'
    assert stored.json()["fooBar"] == 1


def test_every_body_of_a_contract_is_known_at_any_depth(api):
    for collection in collections_with("create"):
        response = api.post(collection.path, json=collection.body(api, full=True))
        warning = response.headers.get("warning", "")
        assert "unknown" not in warning, (str(collection), warning)


def test_nested_attributes_are_named_with_the_nearest_name(api):
    item = {
        **ITEM,
        "quantty": 2,
        "product": {"productCharacteristic": [{"name": "a", "value": {"x": 1}}]},
    }
    response = api.post(ORDER, json={"productOrderItem": [item]})
    assert response.status_code == 201
    expected = "unknown attribute productOrderItem[0].quantty; did you mean quantity?"
    assert response.headers["warning"] == f'299 - "{expected}"'
    refused = api.post(ORDER, json={"productOrderItem": [item]}, headers=STRICT)
    assert "/productOrderItem/0/quantty: unknown attribute; did" in refused.json()["message"]
    assert refused.status_code == 400


@pytest.mark.parametrize(
    ("media_type", "patch"),
    [
        ("application/merge-patch+json", {"descripton": "x"}),
        ("application/json-patch+json", [{"op": "add", "path": "/descripton", "value": "x"}]),
        (
            "application/json-patch-query+json",
            [{"op": "add", "path": "$.descripton", "value": "x"}],
        ),
    ],
)
def test_a_patch_is_handled_like_a_body(api, media_type, patch):
    href = api.post(CATEGORY, json={"name": "a", "old": 1}).json()["href"]
    headers = {"Content-Type": media_type}
    refused = api.patch(href, content=json.dumps(patch), headers={**headers, **STRICT})
    assert refused.status_code == 400
    assert "did you mean description?" in refused.json()["message"]
    assert "old" not in refused.json()["message"]
    changed = api.patch(href, content=json.dumps(patch), headers=headers)
    assert changed.status_code == 200
    assert "unknown attribute descripton;" in changed.headers["warning"]
    known = api.patch(href, json={"description": "y"}, headers=STRICT)
    assert known.status_code == 200
    assert known.headers["preference-applied"] == "handling=strict"
    assert known.headers["vary"] == "Prefer"


def test_a_bulk_patch_warns_of_its_operations_and_is_strict_for_each(api):
    operation = {"op": "add", "path": "/-", "value": {"name": "a", "foo": 1}}
    headers = {"Content-Type": "application/json-patch+json"}
    content = json.dumps([operation, {**operation, "value": {"name": "b"}}])
    response = api.patch(CATEGORY, content=content, headers=headers)
    assert [item["status"] for item in response.json()] == [201, 201]
    assert "unknown attribute foo" in response.headers["warning"]
    response = api.patch(CATEGORY, content=content, headers={**headers, **STRICT})
    assert [item["status"] for item in response.json()] == [400, 201]


def test_unknown_names_in_fields_and_parameters_without_effect_are_named(api):
    href = api.post(CATEGORY, json={"name": "a"}).json()["href"]
    for url in (href, CATEGORY):
        warned = api.get(f"{url}?fields=nme,parentId")
        assert warned.status_code == 200
        assert "unknown attribute 'nme' in fields; did you mean name?" in warned.headers["warning"]
        refused = api.get(f"{url}?fields=nme", headers=STRICT)
        assert (refused.status_code, "nme" in refused.json()["message"]) == (400, True)
        assert "warning" not in api.get(f"{url}?fields=name,validFor.startDateTime").headers
    assert "'sort' has no effect" in api.get(f"{href}?sort=name").headers["warning"]
    assert api.get(f"{href}?sort=name", headers=STRICT).status_code == 400


@pytest.mark.parametrize("version", ["v4", "v5"])
def test_an_unknown_attribute_of_a_hub_is_named_or_refused(api, version):
    hub = f"/tmf-api/productCatalogManagement/{version}/hub"
    body = {"callback": "http://127.0.0.1:9/x", **({"@type": "Hub"} if version == "v5" else {})}
    assert "warning" not in api.post(hub, json=body).headers
    misspelt = {**body, "callback": "http://127.0.0.1:9/y", "qery": "eventType=x"}
    refused = api.post(hub, json=misspelt, headers=STRICT)
    assert refused.status_code == 400
    assert "/qery: unknown attribute; did you mean query?" in refused.json()["message"]
    warned = api.post(hub, json=misspelt)
    assert warned.status_code == 201
    assert "unknown attribute qery; did you mean query?" in warned.headers["warning"]


@pytest.mark.parametrize("version", ["v4", "v5"])
def test_an_unknown_name_in_the_fields_of_a_hub_is_named_or_refused(api, version):
    hub = f"/tmf-api/productCatalogManagement/{version}/hub"
    body = {"callback": "http://127.0.0.1:9/x", **({"@type": "Hub"} if version == "v5" else {})}
    known = {**body, "query": "fields=eventId,eventTime,event.category.name,event.category"}
    response = api.post(hub, json=known)
    assert (response.status_code, response.headers.get("warning")) == (201, None)
    unknown = {**body, "query": "fields=foo,event.category.nme", "callback": f"{hub}/y"}
    unknown["callback"] = "http://127.0.0.1:9/y"
    refused = api.post(hub, json=unknown, headers=STRICT)
    assert refused.status_code == 400
    assert "unknown attribute 'foo' in fields" in refused.json()["message"]
    warned = api.post(hub, json=unknown)
    assert warned.status_code == 201
    assert "unknown attribute 'event.category.nme' in fields" in warned.headers["warning"]
    without_effect = api.post(f"{hub}?fields=id", json={**body, "callback": "http://127.0.0.1:9/z"})
    assert without_effect.status_code == 201
    assert "the parameter 'fields' has no effect here" in without_effect.headers["warning"]


@pytest.mark.parametrize(
    ("body", "ignored"),
    [
        ({"state": "draft"}, "/state"),
        ({"id": "mine"}, "/id"),
        ({"href": "https://mine"}, "/href"),
        ({"orderDate": "2026-01-02T03:04:05Z"}, "/orderDate"),
        (
            {"productOrderItem": [ITEM, {**ITEM, "id": "2", "state": "failed"}]},
            "/productOrderItem/1/state",
        ),
    ],
)
def test_an_attribute_that_a_create_ignores_is_named_or_refused(api, body, ignored):
    body = {"productOrderItem": [ITEM], **body}
    warned = api.post(ORDER, json=body)
    assert warned.status_code == 201, warned.text
    assert warned.headers["warning"] == f'299 - "{ignored} is ignored: only the server sets it"'
    refused = api.post(ORDER, json=body, headers=STRICT)
    assert refused.status_code == 400
    assert f"{ignored}: only the server sets this attribute" in refused.json()["message"]


def test_the_initial_state_is_not_ignored(api):
    body = {"state": "acknowledged", "productOrderItem": [{**ITEM, "state": "acknowledged"}]}
    created = api.post(ORDER, json=body, headers=STRICT)
    assert (created.status_code, created.headers.get("warning")) == (201, None)


def test_a_warning_is_short_and_has_no_character_that_could_end_it(api):
    body = {
        "name": "a",
        'x"; y\\': 1,
        "ü€": 2,
        **{f"n{number}{'x' * 90}": 1 for number in range(99)},
    }
    response = api.post(CATEGORY, json=body)
    warning = response.headers["warning"]
    assert response.status_code == 201
    assert len(warning) < 1500
    assert warning.isascii()
    assert warning.isprintable()
    assert r"x\"; y\\" in warning
    assert "more" in warning
