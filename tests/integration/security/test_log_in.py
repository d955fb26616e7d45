"""Over HTTP: repeated headers, and the log and the metric of failed log-ins and refusals."""

import contextlib
import http.client
import json
import re

import httpx
import pytest

from tests.support.waiting import wait_until
from tmf_apis.rest.http.headers import SINGLE_VALUE_HEADERS

CATEGORY = "/tmf-api/productCatalogManagement/v5/category"


def log_lines(server, message):
    """Return the log records with a message."""
    lines = (line for line in server.log.splitlines() if line.startswith("{"))
    return [record for record in map(json.loads, lines) if record["message"] == message]


def raw_status(server, path, pairs):
    """Return the status of a GET request with exactly these headers."""
    connection = http.client.HTTPConnection(server.url.removeprefix("http://"), timeout=20)
    connection.putrequest("GET", path, skip_host=True, skip_accept_encoding=True)
    for name, value in pairs:
        connection.putheader(name, value)
    connection.endheaders()
    with contextlib.closing(connection):
        return connection.getresponse().status


@pytest.mark.parametrize("name", sorted(SINGLE_VALUE_HEADERS))
@pytest.mark.parametrize("path", [CATEGORY, "/admin/subscriptions", "/metrics"])
def test_a_repeated_header_is_400(authenticated_server, name, path):
    token = authenticated_server.token(scopes=["admin", "tmf620:read"])
    values = {name: "0", "host": "127.0.0.1", "authorization": f"Bearer {token}"}
    assert raw_status(authenticated_server, path, values.items()) in {200, 412, 415}
    pairs = [*values.items(), (name, values[name])]
    assert raw_status(authenticated_server, path, pairs) == 400


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_two_tokens_are_400_also_joined_by_a_comma(authenticated_server, method):
    good, other = (authenticated_server.token(subject=name) for name in ("a", "b"))
    with authenticated_server.client() as client:
        for pairs in (
            [("Authorization", f"Bearer {good}"), ("Authorization", f"Bearer {other}")],
            [("Authorization", f"Bearer {good}"), ("authorization", "Basic YTpi")],
            [("Authorization", f"Bearer {good}, Bearer {other}")],
            [("Authorization", f"Bearer {good},Basic YTpi")],
        ):
            assert client.request(method, CATEGORY, headers=pairs, json={}).status_code == 400


def test_repeated_lists_are_joined(authenticated_server):
    token = authenticated_server.token()
    pairs = [("Authorization", f"Bearer {token}"), ("Accept", "text/html")]
    url = authenticated_server.url + CATEGORY
    assert httpx.get(url, headers=pairs).status_code == 406
    assert httpx.get(url, headers=[*pairs, ("Accept", "application/json")]).status_code == 200


def refusal_count(server, status, cause):
    with server.client(server.token(scopes=["metrics"])) as client:
        text = client.get("/metrics").text
    match = re.search(
        rf'^tmf_access_denied_total{{cause="{cause}",status="{status}"}} (\d+)', text, re.MULTILINE
    ) or re.search(
        rf'^tmf_access_denied_total{{status="{status}",cause="{cause}"}} (\d+)', text, re.MULTILINE
    )
    return int(match[1]) if match else 0


def test_a_failed_log_in_is_counted_and_logged_with_its_reason(authenticated_server):
    before = refusal_count(authenticated_server, 401, "expired")
    token = authenticated_server.token(subject="late", hours=-1)
    with authenticated_server.client(token) as client:
        assert client.get(f"{CATEGORY}?name=secret").status_code == 401
    assert refusal_count(authenticated_server, 401, "expired") == before + 1
    lines = [r for r in log_lines(authenticated_server, "log-in failed") if r["subject"] == "late"]
    assert len(lines) == 1
    expected = {"client": "127.0.0.1", "cause": "expired", "path": CATEGORY, "level": "WARNING"}
    assert expected.items() <= lines[0].items()
    assert token not in authenticated_server.log


@pytest.mark.parametrize("path", [CATEGORY, "/admin/subscriptions"])
def test_a_refused_request_is_counted_and_logged_with_its_subject(authenticated_server, path):
    before = refusal_count(authenticated_server, 403, "forbidden")
    subject = f"curious {path}"
    token = authenticated_server.token(subject=subject, scopes=["tmf629:read"])
    with authenticated_server.client(token) as client:
        assert client.get(path).status_code == 403
    assert refusal_count(authenticated_server, 403, "forbidden") == before + 1
    wait_until(
        lambda: [
            record
            for record in log_lines(authenticated_server, "request refused")
            if (record["subject"], record["path"]) == (subject, path)
        ]
    )
