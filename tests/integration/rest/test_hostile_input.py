"""Hostile input: it is refused with an error body or ignored, quickly, and nothing is written."""

import json
import re
import socket
import uuid
from urllib.parse import quote, urlsplit

import pytest

CATALOG = "/tmf-api/productCatalogManagement/v4"
CATEGORY = f"{CATALOG}/category"
OFFERING = "/tmf-api/productCatalogManagement/v5/productOffering"
ORDER = "/tmf-api/productOrderingManagement/v5/productOrder"
ALARM = "/tmf-api/alarmManagement/v5/alarm"
#: Longest wait for a response, in seconds.
TIMEOUT = 15.0
LONG = "x" * 100_000


@pytest.fixture(scope="module")
def client(server):
    with server.client() as client:
        client.timeout = TIMEOUT
        yield client


@pytest.fixture
def category(client):
    created = client.post(CATEGORY, json={"name": f"c-{uuid.uuid4().hex}-z"})
    assert created.status_code == 201
    return created.json()


def assert_refused(response, *statuses):
    """Check that a response refuses the request with an error body."""
    assert response.status_code in (statuses or range(400, 500)), response.text[:300]
    assert response.headers["content-type"] == "application/json"
    body = response.json()
    assert body["@type"] == "Error"
    assert {"code", "reason", "message", "status"} <= body.keys()
    assert body["status"] == str(response.status_code)
    assert "Traceback" not in response.text


VALUES = {
    "numbers": [[0] * 1000] * 150,
    "objects": [[{"a": 0}] * 100] * 600,
    "empty objects": [[{}] * 1000] * 60,
    "texts": [["", "a"] * 500] * 150,
}


@pytest.mark.parametrize("values", VALUES.values(), ids=VALUES)
def test_a_body_of_very_many_values_is_refused(client, values):
    assert_refused(client.post(CATEGORY, json={"name": "many", "x": values}), 400)


def test_a_patch_cannot_make_a_resource_of_very_many_values(client, category):
    url = f"{CATEGORY}/{category['id']}"
    answers = [
        client.patch(
            url,
            json={name: [[0] * 1000] * 60},
            headers={"Content-Type": "application/merge-patch+json"},
        )
        for name in ("first", "second")
    ]
    assert [answer.status_code for answer in answers] == [200, 400], answers[1].text[:300]


def test_a_long_text_of_commas_is_one_value(client):
    """Strings are not counted."""
    text = "[,{" * 20_000
    created = client.post(CATEGORY, json={"name": "commas", "x": [text] * 5})
    assert created.status_code == 201, created.text[:300]


def deep(levels, kind="["):
    """Return JSON with as many levels of nesting."""
    return (kind * levels + "1" + {"[": "]", '{"a":': "}"}[kind] * levels).encode()


BODIES = {
    "nothing": b"",
    "a space": b" ",
    "half an object": b'{"name":',
    "half a text": b'{"name":"x',
    "no quotes": b"{name:1}",
    "single quotes": b"{'name':'x'}",
    "a comma too many": b'{"name":"x",}',
    "a comment": b'{"name":"x"}//',
    "two values": b'{"name":"x"}{"name":"y"}',
    "an array": b"[]",
    "an array of objects": b'[{"name":"x"}]',
    "a text": b'"name"',
    "a number": b"1",
    "null": b"null",
    "true": b"true",
    "NaN": b'{"name":"x","a":NaN}',
    "Infinity": b'{"name":"x","a":-Infinity}',
    "a number beyond floats": b'{"name":"x","a":1e999}',
    "5000 digits": b'{"name":"x","a":' + b"9" * 5000 + b"}",
    "5000 decimals that overflow": b'{"name":"x","a":' + b"9" * 5000 + b".5}",
    "an integer of 65 bits": b'{"name":"x","a":18446744073709551616}',
    "an unsigned integer of 64 bits": b'{"name":"x","a":9223372036854775808}',
    "a leading zero": b'{"name":"x","a":01}',
    "hexadecimal": b'{"name":"x","a":0x1}',
    "depth 100": b'{"name":"x","a":' + deep(100) + b"}",
    "depth 100 of objects": b'{"name":"x","a":' + deep(100, '{"a":') + b"}",
    "depth 100000": deep(100_000),
    "depth 100000 of objects": deep(100_000, '{"a":'),
    "depth unclosed": b"[" * 100_000,
    "a lone surrogate": b'{"name":"\\ud800"}',
    "surrogates in the wrong order": b'{"name":"\\udc00\\ud800"}',
    "a lone surrogate as a name": b'{"name":"x","\\ud800":1}',
    "invalid UTF-8": b'{"name":"\xff\xfe"}',
    "overlong UTF-8": b'{"name":"\xc0\xaf"}',
    "UTF-8 of a surrogate": b'{"name":"\xed\xa0\x80"}',
    "UTF-16": '{"name":"x"}'.encode("utf-16"),
    "a byte order mark": b'\xef\xbb\xbf{"name":"x"}',
    "a bare NUL": b'{"name":"\x00"}',
    "a bare newline in a text": b'{"name":"a\nb"}',
    "a NUL in a name": b'{"name":"x","a\\u0000b":1}',
    "a NUL in a text": b'{"name":"x","a":"\\u0000"}',
    "an escape character in a text": b'{"name":"x","a":[{"b":"\\u001b[31m"}]}',
    "a bell in an unknown attribute": b'{"name":"x","a":"\\u0007"}',
    "DEL in a text": b'{"name":"x","description":"\x7f"}',
    "a C1 character in a text": b'{"name":"x","description":"\xc2\x9b"}',
    "an escaped C1 character": b'{"name":"x","description":"\\u0085"}',
    "a line break in a name": b'{"name":"x\\ny"}',
    "a tab in a name": b'{"name":"x\\ty"}',
    "a line separator in a name": b'{"name":"x\xe2\x80\xa8y"}',
    "a change of direction in a name": b'{"name":"x\xe2\x80\xaey"}',
    "a line break in an id": b'{"name":"x","parent":{"id":"a\\r\\nX: y"}}',
    "a name of 1,025 characters": b'{"name":"' + b"x" * 1025 + b'"}',
    "a name of 1,025 characters with quotes": b'{"name":"' + b'\\"' * 1025 + b'"}',
    "a text of 65,537 characters": b'{"name":"x","a":"' + b"x" * 65_537 + b'"}',
    "an attribute with a long name": b'{"name":"x","' + b"a" * 1025 + b'":1}',
    "an attribute with a line break": b'{"name":"x","a\\nb":1}',
    "a link that is a script": b'{"name":"x","parent":{"id":"1","href":" JavaScript:alert(1)"}}',
    "a link that is data": b'{"name":"x","parent":{"id":"1","href":"data:text/html,x"}}',
    "a time without an offset": b'{"name":"x","validFor":{"startDateTime":"2026-01-01T10:00:00"}}',
    "a leap second": b'{"name":"x","validFor":{"startDateTime":"2026-12-31T23:59:60Z"}}',
    "hour 24": b'{"name":"x","validFor":{"startDateTime":"2026-01-01T24:00:00Z"}}',
    "the year 0": b'{"name":"x","validFor":{"startDateTime":"0000-01-01T00:00:00Z"}}',
    "a time after the year 9999 in UTC": b'{"name":"x","validFor":{"startDateTime":"9999-12-31T23:59:59-01:00"}}',
    "the same member twice": b'{"name":"x","name":"y"}',
    "the same member twice below": b'{"name":"x","a":{"b":1,"b":2}}',
    "the same member twice, spelled apart": b'{"name":"x","na\\u006de":"y"}',
    "an empty name": b'{"name":"x","":1}',
    "an operator as a name": b'{"name":"x","$where":"1"}',
    "an operator below": b'{"name":"x","a":[{"$gt":""}]}',
    "an operator as the value": b'{"name":{"$gt":""}}',
    "1001 items": b'{"name":"x","a":[' + b"1," * 1000 + b"1]}",
    "a megabyte": b'{"name":"' + b"x" * 1_048_577 + b'"}',
    "a wrong type": b'{"name":1}',
    "a wrong type of an array": b'{"name":"x","parentId":["1"]}',
    "a wrong date": b'{"name":"x","validFor":{"startDateTime":"yesterday"}}',
    "a date that does not exist": b'{"name":"x","validFor":{"startDateTime":"2026-02-30T00:00:00Z"}}',
    "a date of the year 10000": b'{"name":"x","validFor":{"startDateTime":"10000-01-01T00:00:00Z"}}',
    "a wrong boolean": b'{"name":"x","isRoot":"true"}',
    "a state of another type": b'{"name":"x","lifecycleStatus":7}',
    "a mandatory attribute null": b'{"name":null}',
    "an empty object": b"{}",
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
@pytest.mark.parametrize("method", ["POST", "PATCH"])
def test_an_invalid_body_is_refused(client, category, method, body):
    before = client.get(CATEGORY).headers["x-total-count"]
    url = CATEGORY if method == "POST" else category["href"]
    response = client.request(
        method, url, content=body, headers={"Content-Type": "application/json"}
    )
    if method == "PATCH" and body == b"{}":
        assert response.status_code == 200
    else:
        assert_refused(response, 400, 409, 413)
    assert client.get(CATEGORY).headers["x-total-count"] == before
    assert client.get(category["href"]).json() == category


GOOD = {
    "deep but not too deep": {"a": json.loads(deep(20))},
    "the largest integers": {"a": 2**63 - 1, "b": -(2**63)},
    "floats": {"a": 1e308, "b": -0.0, "c": 5e-324},
    "dots in names": {"a.b": 1, ".": 2, "a.": 3},
    "a dollar in names": {"a$b": 1},
    "names of the server's own": {"_id": 1, "tenant": "x", "rev": 9, "parties": ["*"], "body": {}},
    "names of Python": {"__proto__": {"x": 1}, "constructor": 1, "__class__": 1},
    "any text": {"a": "\u202e\U0001f600' OR 1=1 -- <script>{{7*7}}${x}%s"},
    "tabs and line breaks in a text": {"description": "a\tb\r\nc\u2028d"},
    "a text of 65,536 characters": {"a": "\u00e9" * 65_536},
    "a name of 1,024 characters": {"note": [{"name": "\u00e9" * 1024}]},
    "a word of Persian with a joiner": {"note": [{"name": "\u0645\u06cc\u200c\u062e"}]},
    "a thousand items": {"a": [1] * 1000},
    "nulls in arrays": {"a": [None, 1]},
}


@pytest.mark.parametrize("more", GOOD.values(), ids=GOOD)
def test_unusual_valid_bodies_are_returned_unchanged(client, more):
    response = client.post(CATEGORY, json={"name": "odd", **more})
    assert response.status_code == 201, response.text[:300]
    read = client.get(response.json()["href"])
    assert {name: read.json()[name] for name in more} == more
    changed = client.patch(response.json()["href"], json={"description": "x"})
    assert changed.status_code == 200, changed.text[:300]


HEADERS = {
    "text": ({"Content-Type": "text/plain"}, 415),
    "xml": ({"Content-Type": "application/xml"}, 415),
    "form": ({"Content-Type": "application/x-www-form-urlencoded"}, 415),
    "multipart": ({"Content-Type": "multipart/form-data; boundary=x"}, 415),
    "nonsense": ({"Content-Type": ";;;==,"}, 415),
    "latin-1": ({"Content-Type": "application/json; charset=iso-8859-1"}, 415),
    "utf-16": ({"Content-Type": 'application/json; charset="utf-16"'}, 415),
    "a patch": ({"Content-Type": "application/merge-patch+json"}, 415),
    "gzip": ({"Content-Encoding": "gzip"}, 415),
    "two encodings": ({"Content-Encoding": "gzip, br"}, 415),
    "no host": ({"Host": "a b"}, 400),
    "a host of markup": ({"Host": "<x>"}, 400),
    "a host and a path": ({"Host": "evil.example/x"}, 400),
    "an empty key": ({"Idempotency-Key": ""}, 400),
    "a long key": ({"Idempotency-Key": "k" * 256}, 400),
    "accept nothing": ({"Accept": "image/png"}, 406),
}


@pytest.mark.parametrize(("headers", "status"), HEADERS.values(), ids=HEADERS)
def test_invalid_headers_are_refused(client, headers, status):
    body = json.dumps({"name": "x"}).encode()
    response = client.post(
        CATEGORY, content=body, headers={"Content-Type": "application/json", **headers}
    )
    assert_refused(response, status, 403)


@pytest.mark.parametrize("tag", ["1", '"1', "W/1", '"a" "b"', "\\", '"\t"', "'1'", ",", '""'])
@pytest.mark.parametrize("header", ["If-Match", "If-None-Match"])
def test_invalid_entity_tags_are_refused_or_match_nothing(client, category, header, tag):
    response = client.request(
        "GET" if header == "If-None-Match" else "DELETE", category["href"], headers={header: tag}
    )
    assert response.status_code in {200, 400, 412}, response.text
    assert client.get(category["href"]).status_code == 200


QUERIES = [
    "limit=-1", "limit=x", "limit=1e3", "limit=+5", "limit=%2B5", "limit=",
    "limit=%00", "limit=1.5", "limit=٣", "offset=-1", "offset=", "offset=x", "offset=9" * 5,
    "offset=1&after=", "after=x&before=y", "after=!!!", "after=e30", "after=W10", "after=WzFd",
    "after=WyIkZ3QiXQ&before=", "before=" + "A" * 5000, "after=bnVsbA", "after=W3siJGd0IjoiIn1d",
    "sort=nope", "sort=-", "sort=,", "sort=name,name,name" + ",name" * 60, "sort=$where",
    "sort=-name.$gt", "sort=a..b", "sort=validFor",
    "nope=1", "name.nope=1", "name.$gt=1", "$where=1", "$or=1", "name[$ne]=x", "name.gt.lt=1",
    "a..b=1", ".name=1", "name.=1", "name.exists=maybe", "isRoot=maybe", "isRoot.gt=true",
    "lastUpdate=yesterday", "lastUpdate.gt=2026-13-01T00:00:00Z", "validFor=1",
    "name.regex=(", "name.regex=(a%2B)%2B%24", "name.regex=(.*)*x", "name.regex=" + "a" * 300,
    "name.regex=%5B", "name.regex=(%3F%3C%3Dx)y", "name.regex=%5C1", "name.regex=a{1000}{1000}",
    "name.regex=%00", "name=%00", "name=%ff", "name=%ed%a0%80", "%ff=1", "name=" + "x" * 5000,
    "name=" + ",".join("x" * 101), "&".join(f"name=x{n}" for n in range(101)),
    "&".join(f"a{n}=1" for n in range(300)), "name.0=x", "a." * 100 + "b=1", "_id=1", "tenant=x",
    "body.name=x", "parties=x", "__proto__=1", "events=1", "rev=1", "text.v4=1",
    "filter=", "filter=x", "filter=$", "filter=$[", "filter=$..*", "filter=$[?(", "filter=$[?(@.",
    "filter=$[?(@.name=='x'%20%26%26)]", "filter=$[?(@.nope==1)]", "filter=$[?(@.name=~/(/)]",
    "filter=$[?(@.name=~/(a%2B)%2B$/)]", "filter=$[?(" + "(" * 200 + "@.name==1", "filter=$[0]",
    "filter=$[?(@.$where=='1')]", "filter=" + "$.a" * 300, "filter=$[(1%2B1)]", "filter=$[-1:]",
    "filter=$.a.b.c.d.e.f.g.h.i.j", "filter=$[?(@.name==__import__('os'))]",
    "filter=$[?(!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!@.name)]", 
    "filter=$[?(" + "%26%26".join(["@.name=='x'"] * 60) + ")]",
    "fields=" + ",".join(f"a{n}" for n in range(101)), "fields=$where", "fields=a..b",
    "fields=%00", "fields=" + "a." * 50 + "b", "fields=a.$x",
]  # fmt: skip


@pytest.mark.parametrize("query", QUERIES, ids=lambda query: query[:40])
def test_an_invalid_query_is_refused(client, query):
    assert_refused(client.get(f"{CATEGORY}?{query}"), 400, 414, 501)


FINE = [
    "", "&", "sort=", "filter=$[?(@.name==1e999)]", "&&", "=", "fields=", "fields=nope", "limit=0", "limit=1001", "limit=99999999999999999999", "offset=99999999999999999999",
    "name=", "name=$gt", 'name={"$gt":""}', "name.in=", "name.exists=true", "name.regex=",
    "name=a'b", "name=*", "name=(", "name=%F0%9F%98%80", "name.gt=", "lastUpdate.gt=2026-01-01",
    "name.regex=^x", "isRoot=TRUE", "after=", "before=", "name=;", "name=,,,", 'name="',
    "id=", "href=x", "lifecycleStatus=In%20study",
]  # fmt: skip


@pytest.mark.parametrize("query", FINE, ids=lambda query: query[:40])
def test_an_unusual_query_is_answered(client, query):
    response = client.get(f"{CATEGORY}?{query}")
    assert response.status_code in {200, 206, 400}, response.text[:300]
    if response.status_code == 400:
        assert_refused(response)


PATCHES = {
    "no array": {},
    "no operation": [1],
    "an empty operation": [{}],
    "an unknown operation": [{"op": "increment", "path": "/name", "value": 1}],
    "an operation of another type": [{"op": ["add"], "path": "/name", "value": 1}],
    "no path": [{"op": "add", "value": 1}],
    "a path of another type": [{"op": "add", "path": 1, "value": 1}],
    "a long path": [{"op": "add", "path": "/" + "a" * 2000, "value": 1}],
    "no value": [{"op": "add", "path": "/name"}],
    "nothing there": [{"op": "remove", "path": "/nope"}],
    "an index beyond": [{"op": "add", "path": "/channel/99999999999999999999", "value": 1}],
    "a negative index": [{"op": "add", "path": "/channel/-1", "value": 1}],
    "below a text": [{"op": "add", "path": "/name/x", "value": 1}],
    "the whole resource removed": [{"op": "remove", "path": ""}],
    "the whole resource replaced by an array": [{"op": "replace", "path": "", "value": []}],
    "the whole resource replaced by null": [{"op": "replace", "path": "", "value": None}],
    "the id": [{"op": "replace", "path": "/id", "value": "x"}],
    "the id removed": [{"op": "remove", "path": "/id"}],
    "the href": [{"op": "replace", "path": "/href", "value": "x"}],
    "the id moved": [{"op": "move", "from": "/id", "path": "/other"}],
    "into itself": [{"op": "add", "path": "/a", "value": {}},
                    {"op": "move", "from": "/a", "path": "/a/b"}],
    "a test that fails": [{"op": "test", "path": "/name", "value": "no"}],
    "101 operations": [{"op": "add", "path": "/x", "value": 1}] * 101,
    "a bomb of copies": [{"op": "add", "path": "/a", "value": ["x" * 1000]}]
    + [{"op": "copy", "from": "/a", "path": "/a/-"}] * 40,
    "an operator": [{"op": "add", "path": "/$where", "value": "1"}],
    "an operator below": [{"op": "add", "path": "/a", "value": {}},
                          {"op": "add", "path": "/a/$gt", "value": 1}],
    "an empty name": [{"op": "add", "path": "/", "value": 1}],
    "a name with NUL": [{"op": "add", "path": "/a\u0000b", "value": 1}],
    "a wrong type": [{"op": "replace", "path": "/name", "value": 7}],
    "a mandatory attribute removed": [{"op": "remove", "path": "/name"}],
    "too deep in the end": [{"op": "add", "path": "/a", "value": json.loads(deep(25))},
                            {"op": "copy", "from": "/a", "path": "/b"},
                            {"op": "add", "path": "/a" + "/0" * 25, "value": json.loads(deep(25))}],
}  # fmt: skip


@pytest.mark.parametrize("patch", PATCHES.values(), ids=PATCHES)
@pytest.mark.parametrize("kind", ["json-patch", "json-patch-query"])
def test_an_invalid_json_patch_is_refused_as_a_whole(client, category, patch, kind):
    response = client.patch(
        category["href"],
        content=json.dumps(patch),
        headers={"Content-Type": f"application/{kind}+json"},
    )
    assert_refused(response, 400, 409, 413)
    assert client.get(category["href"]).json() == category


@pytest.mark.parametrize(
    "path",
    ["$", "$..*", "$.name[", "$[?(@.x", "$.a[?(" + "(" * 300, "$.nope.deeper", "$.id",
     "$.a[*].b", "$.$where", "$[0]", "$.name[?(@=~/(a+)+$/)]"],
)  # fmt: skip
def test_an_invalid_path_in_a_query_patch_is_refused(client, category, path):
    patch = [{"op": "replace", "path": path, "value": "x"}]
    media = {"Content-Type": "application/json-patch-query+json"}
    response = client.patch(category["href"], content=json.dumps(patch), headers=media)
    assert_refused(response, 400, 409, 413, 501)
    assert client.get(category["href"]).json() == category


MERGES = {
    "the id": {"id": "x"},
    "the id of another type": {"id": {"$gt": ""}},
    "the href": {"href": "http://evil.example"},
    "the id removed": {"id": None},
    "an invalid transition": {"lifecycleStatus": "Retired"},
    "the state removed": {"lifecycleStatus": None},
    "a wrong type": {"isRoot": "yes"},
    "a mandatory attribute removed": {"name": None},
    "an operator": {"$set": {"name": "x"}},
    "a wrong date": {"validFor": {"startDateTime": "x"}},
    "an end before its start": {
        "validFor": {
            "startDateTime": "2026-02-01T00:00:00Z",
            "endDateTime": "2026-01-01T00:00:00Z",
        }
    },
}


@pytest.mark.parametrize("patch", MERGES.values(), ids=MERGES)
def test_an_invalid_merge_patch_is_refused(client, category, patch):
    assert_refused(client.patch(category["href"], json=patch), 400, 409)
    assert client.get(category["href"]).json() == category


CALLBACKS = [
    "", "x", "//x", "ftp://example.com", "file:///etc/passwd", "javascript:alert(1)", "gopher://x",
    "http://", "http://:80", "http://user:pass@example.com/", "http://169.254.169.254/latest",
    "http://10.0.0.1/", "http://192.168.0.1/", "http://172.16.0.1/", "http://100.64.0.1/",
    "http://0.0.0.0/", "http://[fe80::1]/", "http://[fc00::1]/", "http://[::ffff:10.0.0.1]/",
    "http://0x0a000001/", "http://167772161/", "http://012.0.0.1/", "http://10.1/",
    "http://224.0.0.1/", "http://255.255.255.255/", "http://[64:ff9b::a00:1]/", "http://exa mple/",
    "http://example.com:99999/", "http://example.com:0/x", "http://\u0000/", "http://a" + LONG,
    "http://[::",
]  # fmt: skip


@pytest.mark.parametrize("url", CALLBACKS, ids=lambda url: url[:40])
def test_a_callback_to_a_forbidden_address_is_refused(client, url):
    hub = client.post(f"{CATALOG}/hub", json={"callback": url})
    assert_refused(hub, 400)
    if url.startswith("http"):
        assert_refused(client.post(f"{CATALOG}/importJob", json={"url": url}), 400)


@pytest.mark.parametrize(
    "query",
    ["nope=1", "eventType.regex=(", "event.nope=1", "$where=1", "x" * 5000, "event.category.$x=1",
     "fields=%00", "eventTime.gt=x"],
    ids=lambda q: q[:20],
)  # fmt: skip
def test_an_invalid_query_of_a_subscription_is_refused(client, query):
    body = {"callback": "http://127.0.0.1:9/x", "query": query}
    response = client.post(f"{CATALOG}/hub", json=body)
    assert_refused(response, 400)


@pytest.mark.parametrize("id", [
    "x" * 5000, "%00", "%2e%2e", "%2F", "$gt", "{}", "a:b", "default:x", "%ff", "%F0%9F%98%80",
    "~gone", "' or 1=1", "*", "null", "1;drop", "a%0d%0aSet-Cookie:x", "%u0041", ":", "a/b", "a/b/c",
])  # fmt: skip
def test_an_unusual_id_is_not_found(client, id):
    for method in ("GET", "DELETE", "PATCH"):
        response = client.request(method, f"{CATEGORY}/{id}", json={})
        assert response.status_code in {400, 404, 405, 414}, (method, response.status_code)
        assert_refused(response)
        assert "set-cookie" not in response.headers


def test_a_long_path_or_query_is_414(client):
    assert_refused(client.get(f"{CATEGORY}/{'x' * 9000}"), 414)
    assert_refused(client.get(f"{CATEGORY}?name={'x' * 9000}"), 414)


def test_a_json_object_as_filter_value_is_compared_as_text(client, category):
    for value in ('{"$ne":null}', '{"$gt":""}', '["x"]'):
        response = client.get(f"{CATEGORY}?name={quote(value)}")
        assert (response.status_code, response.json()) == (200, [])


def test_invalid_types_are_refused(client):
    for body in ({"@type": "Evil", "name": "x"}, {"@type": 1, "name": "x"},
                 {"@type": "Category", "name": "x"}, {"@type": ["ProductOffering"], "name": "x"},
                 {"@type": {"$gt": ""}, "name": "x"}):  # fmt: skip
        assert_refused(client.post(OFFERING, json=body), 400)
    fetched = {
        "@type": "Evil", "@baseType": "ProductOffering", "name": "x",
        "@schemaLocation": "http://127.0.0.1:9/evil.json", "lifecycleStatus": "In study",
        "lastUpdate": "2026-01-01T00:00:00Z",
    }  # fmt: skip
    assert client.post(OFFERING, json=fetched).status_code in {201, 400}


@pytest.mark.parametrize(
    "state", ["completed", "nonsense", "", 1, None, {"$gt": ""}, ["completed"]]
)
def test_a_client_cannot_create_an_order_in_a_final_state(client, state):
    item = {"@type": "ProductOrderItem", "id": "1", "action": "add"}
    body = {"@type": "ProductOrder", "productOrderItem": [item], "state": state}
    response = client.post(ORDER, json=body)
    if response.status_code == 201:
        assert response.json()["state"] in {"acknowledged", "inProgress"}
    else:
        assert_refused(response, 400, 409)


@pytest.mark.parametrize("name", ["id", "href", "lastUpdate", "creationDate"])
def test_server_owned_attributes_of_a_new_resource_are_ignored(client, name):
    item = {"@type": "ProductOrderItem", "id": "1", "action": "add"}
    body = {"@type": "ProductOrder", "productOrderItem": [item]}
    response = client.post(ORDER, json={**body, name: "2001-01-01T00:00:00.000Z"})
    assert response.status_code in {201, 400}
    if response.status_code == 201 and name != "lastUpdate":
        assert response.json()[name] != "2001-01-01T00:00:00.000Z"


# Raw bytes on the connection.


def exchange(server, *parts, half_close=False):
    """Send bytes and return the response, as far as it arrives in time.

    ``half_close`` closes the sending side after the last byte.
    """
    parts = [part if isinstance(part, bytes) else part.encode() for part in parts]
    address = urlsplit(server.url)
    with socket.create_connection((address.hostname, address.port), timeout=TIMEOUT) as sock:
        received = b""
        try:
            for part in parts:
                sock.sendall(part)
            if half_close:
                sock.shutdown(socket.SHUT_WR)
            while chunk := sock.recv(65536):
                received += chunk
                if complete(received):
                    break
        except (TimeoutError, ConnectionError):
            pass
        return received


def complete(received):
    """Return whether the bytes are a complete response."""
    head, end, body = received.partition(b"\r\n\r\n")
    length = re.search(rb"content-length: (\d+)", head.lower())
    return bool(end) and (not length or len(body) >= int(length[1]))


def status(received):
    """Return the status of the first response; 0 if there is none."""
    match = re.match(rb"HTTP/1\.1 (\d{3})", received)
    return int(match[1]) if match else 0


POST = f"POST {CATEGORY} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"

WIRE = {
    "nothing": ("",),
    "not HTTP": ("hello\r\n\r\n",),
    "TLS": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 100,),
    "bytes": (bytes(range(256)) * 4,),
    "no version": (f"GET {CATEGORY}\r\n\r\n",),
    "another version": (f"GET {CATEGORY} HTTP/9.9\r\nHost: x\r\n\r\n",),
    "a bad header": (f"GET {CATEGORY} HTTP/1.1\r\nHost: x\r\nbad header\r\n\r\n",),
    "a header with NUL": (f"GET {CATEGORY} HTTP/1.1\r\nHost: x\r\nX: a\0b\r\n\r\n",),
    "huge headers": (f"GET {CATEGORY} HTTP/1.1\r\nHost: x\r\nX: {'a' * 200_000}\r\n\r\n",),
    "many headers": (f"GET {CATEGORY} HTTP/1.1\r\nHost: x\r\n", "X: y\r\n" * 20_000, "\r\n"),
    "a huge target": (f"GET /{'a' * 200_000} HTTP/1.1\r\nHost: x\r\n\r\n",),
    "an absolute target": ("GET http://evil.example/x HTTP/1.1\r\nHost: localhost\r\n\r\n",),
    "two lengths": (f"{POST}Content-Length: 2\r\nContent-Length: 3\r\n\r\n{{}}",),
    "a negative length": (f"{POST}Content-Length: -1\r\n\r\n{{}}",),
    "a length of letters": (f"{POST}Content-Length: abc\r\n\r\n{{}}",),
    "a huge length": (f"{POST}Content-Length: 99999999999999999999999\r\n\r\n{{}}",),
    "a length over the limit": (f"{POST}Content-Length: 2000000\r\n\r\n",),
    "length and chunks": (
        f"{POST}Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ),
    "bad chunks": (f"{POST}Transfer-Encoding: chunked\r\n\r\nzz\r\n{{}}\r\n0\r\n\r\n",),
    "a huge chunk size": (f"{POST}Transfer-Encoding: chunked\r\n\r\n{'f' * 40}\r\n",),
    "an unknown encoding": (f"{POST}Transfer-Encoding: gzip\r\n\r\nx",),
    "an expectation": (f"{POST}Expect: 100-continue\r\nContent-Length: 2000000\r\n\r\n",),
    "an upgrade": (
        (
            f"GET {CATEGORY} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            "Sec-WebSocket-Key: x\r\nSec-WebSocket-Version: 13\r\n\r\n"
        ),
    ),
    "no host": (f"GET {CATEGORY} HTTP/1.1\r\n\r\n",),
    "two hosts": (f"GET {CATEGORY} HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",),
    "an odd method": (f"BREW {CATEGORY} HTTP/1.1\r\nHost: x\r\n\r\n",),
}


@pytest.mark.parametrize("parts", WIRE.values(), ids=WIRE)
def test_invalid_http_does_not_harm_the_server(server, client, parts):
    received = exchange(server, *parts, half_close=True)
    assert status(received) < 500, received[:300]
    assert b"Traceback" not in received
    assert client.get("/health/live").status_code == 200


def test_a_chunked_body_over_the_limit_is_refused(server, client):
    chunk = f"{65536:x}\r\n{'x' * 65536}\r\n"
    received = exchange(server, f"{POST}Transfer-Encoding: chunked\r\n\r\n", *[chunk] * 40)
    assert status(received) in {0, 413}
    assert client.get("/health/live").status_code == 200


def test_a_body_shorter_than_its_length_creates_nothing(server, client):
    before = client.get(CATEGORY).headers["x-total-count"]
    body = '{"name":"half"}'
    exchange(server, f"{POST}Content-Length: {len(body) + 5}\r\n\r\n{body}", half_close=True)
    assert client.get(CATEGORY).headers["x-total-count"] == before


def test_a_body_is_cut_at_its_declared_length(server, client):
    received = exchange(server, f'{POST}Content-Length: 14\r\n\r\n{{"name":"more"}}garbage')
    assert status(received) == 400
    assert client.get("/health/live").status_code == 200


def test_slow_bodies_do_not_block_other_requests(server, client):
    address = urlsplit(server.url)
    socks = []
    try:
        for _ in range(60):
            sock = socket.create_connection((address.hostname, address.port), timeout=TIMEOUT)
            sock.sendall(f"{POST}Content-Length: 100\r\n\r\n{{".encode())
            socks.append(sock)
        # The server waits 30 s for a body: blocked requests would exceed the client's timeout.
        assert client.get(CATEGORY).status_code in {200, 206}
        assert client.post(CATEGORY, json={"name": "quick"}).status_code == 201
    finally:
        for sock in socks:
            sock.close()


def test_pipelined_requests_are_answered_in_order(server):
    request = f"GET {CATEGORY}?limit=0 HTTP/1.1\r\nHost: localhost\r\n\r\n"
    last = f"GET {CATEGORY}/nope HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    address = urlsplit(server.url)
    with socket.create_connection((address.hostname, address.port), timeout=TIMEOUT) as sock:
        sock.sendall((request * 20 + last).encode())
        received = b""
        while chunk := sock.recv(65536):
            received += chunk
    assert received.count(b"HTTP/1.1 200") == 20
    assert received.rindex(b"HTTP/1.1 404") > received.rindex(b"HTTP/1.1 200")


def test_clients_that_disconnect_early_do_not_harm_the_server(server, client):
    address = urlsplit(server.url)
    for _ in range(30):
        sock = socket.create_connection((address.hostname, address.port), timeout=TIMEOUT)
        sock.sendall(f"GET {CATEGORY} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        sock.close()
    assert client.get(CATEGORY).status_code in {200, 206}


def test_the_log_has_no_unexpected_error(server):
    """Run last: no request of this module made the server log a traceback."""
    assert '"traceback"' not in server.log, server.log[-3000:]
