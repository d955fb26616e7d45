"""JSONPath in ``fields``, ``sort`` and the query of a hub: supported, or refused with a reason."""

import pytest

CATEGORY = "/tmf-api/productCatalogManagement/v4/category"
HUB = "/tmf-api/productCatalogManagement/v4/hub"


def test_simple_jsonpath_is_a_dotted_path(api):
    for name in ("b", "a"):
        body = {"name": name, "productOffering": [{"id": name, "name": f"o-{name}"}]}
        assert api.post(CATEGORY, json=body).status_code == 201
    listed = api.get(f"{CATEGORY}?sort=-$.name&fields=$.name,$.productOffering[*].name")
    assert [item["name"] for item in listed.json()] == ["b", "a"]
    assert listed.json()[0]["productOffering"] == [{"name": "o-b"}]
    assert "warning" not in listed.headers


@pytest.mark.parametrize("parameter", ["fields", "sort"])
@pytest.mark.parametrize(
    "path", ["$.a[?(@.b==1)].c", "$..name", "a[0]", "a[?(@.b=='x,y')]", "[1:2]"]
)
def test_other_jsonpath_is_501_with_what_is_supported(api, parameter, path):
    response = api.get(CATEGORY, params={parameter: path})
    assert response.status_code in {400, 501}, response.text
    message = response.json()["message"]
    if response.status_code == 501:
        assert message.startswith(f"{parameter}: ")
        assert "$.a[*].b" in message
    else:
        assert path == "$..name"


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("filter=$.event.category[?(@.name=='x' %26%26 @.isRoot==true)]", 201),
        ("eventType=CategoryCreateEvent&filter=$[?(@.event.category.name=='x')]", 201),
        ("filter=$.event..name", 501),
        ("filter=$.event.category[?(@.nothing==1)]", 400),
        ("depth=1", 400),
        ("sort=eventTime", 400),
    ],
)
def test_the_query_of_a_hub_may_have_a_filter(api, query, status):
    response = api.post(HUB, json={"callback": "http://127.0.0.1:9/x", "query": query})
    assert response.status_code == status, response.text
    if status != 201:
        assert query.partition("=")[0] in response.json()["message"] or "nothing" in response.text
