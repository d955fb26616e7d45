"""Response headers for browsers and caches, and entity tags that clients send back."""

import pytest

CATEGORY = "/tmf-api/productCatalogManagement/v5/category"
PATHS = [
    CATEGORY, f"{CATEGORY}/nope", f"{CATEGORY}?limit=x", "/tmf-api/nope", "/nope", "/admin/nope",
    "/tmf-api/productCatalogManagement/v5/openapi.json", "/health/live", "/health/ready",
    "/metrics",
]  # fmt: skip


@pytest.fixture
def category(api):
    created = api.post(CATEGORY, json={"@type": "Category", "name": "c"})
    assert created.status_code == 201
    return created


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("token", [True, False])
def test_no_response_is_sniffed_or_tells_its_url(api, server, path, token):
    with server.client() as anonymous:
        response = (api if token else anonymous).get(path, headers={"Accept": "application/json"})
    assert response.headers["x-content-type-options"] == "nosniff"
    assert response.headers["referrer-policy"] == "no-referrer"


def test_only_the_client_itself_may_store_a_response_and_revalidates_it(api, category):
    url = category.json()["href"]
    responses = [category, api.get(url), api.get(CATEGORY), api.get(f"{CATEGORY}/nope")]
    responses.append(api.get(url, headers={"If-None-Match": category.headers["etag"]}))
    responses.append(api.patch(url, json={"@type": "Category", "description": "d"}))
    responses.append(api.delete(url))
    assert [r.status_code for r in responses] == [201, 200, 200, 404, 304, 200, 204]
    for response in responses:
        assert response.headers.get_list("cache-control") == ["private, no-cache"]


@pytest.mark.parametrize("method", ["PATCH", "DELETE"])
@pytest.mark.parametrize("tag", ['W/"1"', 'W/"1", "7"', 'W/"1", W/"1"'])
def test_a_weak_entity_tag_never_matches_in_if_match(api, category, method, tag):
    change = {"@type": "Category", "name": "new"} if method == "PATCH" else None
    url = category.json()["href"]
    response = api.request(method, url, json=change, headers={"If-Match": tag})
    assert response.status_code == 412, response.text
    assert api.get(url).json()["name"] == "c"


def test_a_list_with_a_strong_tag_matches_in_if_match(api, category):
    tag = f'W/"7", {category.headers["etag"]}'
    response = api.delete(category.json()["href"], headers={"If-Match": tag})
    assert response.status_code == 204


@pytest.mark.parametrize("tag", ['"1"', 'W/"1"', 'W/"7", W/"1"', "*"])
def test_if_none_match_compares_weakly(api, category, tag):
    response = api.get(category.json()["href"], headers={"If-None-Match": tag})
    assert response.status_code == 304
