"""Keys, revocations and introspection, read from an identity provider on loopback."""

import contextlib
import json
import logging
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from tests.support.identity_provider import IdentityProvider
from tests.support.waiting import wait_until
from tmf_apis.errors import Unauthorized, Unavailable
from tmf_apis.security.jwks import parse_jwks
from tmf_apis.security.revocations import parse_revocations
from tmf_apis.security.tokens import TokenAuthenticator
from tmf_apis.settings import Settings

REFRESH, OUTAGE_HOURS = 300.0, 2.0


@pytest.fixture
def provider():
    with IdentityProvider() as running:
        yield running


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def create(provider, clock):
    """A function that returns an authenticator that uses the identity provider."""

    def create_authenticator(jwks="jwks", **values):
        settings = Settings(jwks_refresh=REFRESH, jwks_outage=OUTAGE_HOURS, **values)
        url = jwks and provider.url(jwks)
        return TokenAuthenticator(settings, enabled=True, jwks=url, clock=clock)

    return create_authenticator


@pytest.fixture
def authenticator(create):
    return create()


def bearer(text):
    return {"authorization": f"Bearer {text}"}


def is_accepted(authenticator, token):
    try:
        return authenticator.authenticate(bearer(token)).subject == "me"
    except Unauthorized:
        return False


def test_a_removed_key_is_refused_after_the_refresh_time_for_cached_tokens_too(
    provider, clock, authenticator
):
    used, unused = provider.token(), provider.token(scope="b")
    assert is_accepted(authenticator, used)
    provider.keys = {"two": Ed25519PrivateKey.generate()}
    clock.now += REFRESH
    assert not is_accepted(authenticator, used)
    assert not is_accepted(authenticator, unused)
    assert is_accepted(authenticator, provider.token("two"))


def test_the_removal_of_the_last_key_leaves_no_key(provider, clock, authenticator):
    token = provider.token()
    assert is_accepted(authenticator, token)
    provider.keys = {}
    clock.now += REFRESH
    assert not is_accepted(authenticator, token)


def test_a_reused_key_id_takes_the_new_key(provider, clock, authenticator):
    old = provider.token()
    assert is_accepted(authenticator, old)
    provider.keys = {"one": Ed25519PrivateKey.generate()}
    clock.now += 31  # the shortest pause between two reads
    assert is_accepted(authenticator, provider.token())
    assert not is_accepted(authenticator, old)


def test_keys_are_read_in_the_background_while_they_are_recent(provider, clock, authenticator):
    token = provider.token()
    assert is_accepted(authenticator, token)
    clock.now += REFRESH * 0.6
    assert is_accepted(authenticator, token)
    wait_until(lambda: provider.requests["jwks"] == 2)


def test_many_tokens_of_unknown_keys_do_not_cause_many_reads(provider, clock, authenticator):
    assert is_accepted(authenticator, provider.token())
    clock.now += 31
    for number in range(20):
        forged = provider.token(f"k{number}", key=Ed25519PrivateKey.generate())
        assert not is_accepted(authenticator, forged)
    assert provider.requests["jwks"] == 2


@pytest.mark.parametrize("nonsense", ["", "<html>", "[]", "{}", '{"keys": 5}', '{"keys": {}}'])
def test_an_outage_or_nonsense_keeps_the_keys_for_a_bounded_time(
    provider, clock, authenticator, nonsense, caplog
):
    token = provider.token()
    assert is_accepted(authenticator, token)
    provider.documents["jwks"] = nonsense
    provider.is_out = not nonsense
    clock.now += REFRESH
    assert is_accepted(authenticator, token)
    assert any("cannot read" in record.message for record in caplog.records)
    clock.now += OUTAGE_HOURS * 3600
    with pytest.raises(Unavailable):
        authenticator.authenticate(bearer(token))


def test_the_server_answers_again_after_an_outage(provider, clock, authenticator):
    provider.is_out = True
    with pytest.raises(Unavailable):
        authenticator.authenticate(bearer(provider.token()))
    provider.is_out = False
    clock.now += 1
    assert is_accepted(authenticator, provider.token())


@hypothesis_settings(max_examples=200)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda children: (
            st.lists(children)
            | st.dictionaries(
                st.sampled_from(["kid", "kty", "alg", "x", "n", "e", "crv"]), children
            )
        ),
    )
)
def test_a_malformed_key_is_ignored_and_the_others_count(member):
    good = {"kty": "OKP", "crv": "Ed25519", "kid": "g", "alg": "EdDSA",
            "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}  # fmt: skip
    logging.getLogger("tmf_apis.security.jwks").setLevel(logging.CRITICAL)
    keys = parse_jwks(json.dumps({"keys": [member, good]}))
    assert "g" in keys


def test_keys_of_one_id_are_told_apart_by_their_algorithm(provider, authenticator):
    other = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    jwk = jwt.algorithms.RSAAlgorithm.to_jwk(other.public_key(), as_dict=True)
    document = json.loads(provider._jwks(None))
    document["keys"].append({**jwk, "kid": "one", "alg": "RS256"})
    provider.documents["jwks"] = json.dumps(document)
    token = jwt.encode({"sub": "me", "exp": time.time() + 60}, other, "RS256", {"kid": "one"})
    assert is_accepted(authenticator, provider.token())
    assert is_accepted(authenticator, token)


def test_a_revoked_token_is_refused_within_the_refresh_time(provider, clock, create):
    authenticator = create(revocation_list=provider.url("revoked"), revocation_refresh=60.0)
    now = time.time()
    by_id = provider.token(jti="7")
    old, new, undated = (provider.token(iat=now - 500), provider.token(iat=now), provider.token())
    tokens = [by_id, old, new, undated]
    assert [is_accepted(authenticator, token) for token in tokens] == [True] * 4
    provider.revoked = [{"jti": "7"}, {"sub": "me", "before": now - 100}]
    clock.now += 60
    assert [is_accepted(authenticator, token) for token in tokens] == [False, False, True, False]


def test_without_a_readable_revocation_list_no_token_is_accepted(provider, create):
    provider.documents["revoked"] = '{"revoked": [{"sub": "me"}]}'
    authenticator = create(revocation_list=provider.url("revoked"))
    with pytest.raises(Unavailable):
        authenticator.authenticate(bearer(provider.token()))


def test_times_of_a_revocation_list_need_an_offset():
    entry = {"sub": "me", "before": "2026-05-01T00:00:00"}
    with pytest.raises(ValueError, match="offset"):
        parse_revocations(json.dumps({"revoked": [entry]}))
    entry["before"] += "Z"
    assert parse_revocations(json.dumps({"revoked": [entry]})).is_revoked({"sub": "me", "iat": 1})


@pytest.fixture
def introspecting(provider, create):
    return create(
        introspection_url=provider.url("introspect"),
        introspection_client=provider.client,
        introspection_secret=provider.secret,
        introspection_cache=0.2,
        issuer="https://id",
        audience="tmf",
    )


CLAIMS = {"sub": "me", "iss": "https://id", "aud": ["tmf"], "scope": "a b", "tenant": "north",
          "party": "p"}  # fmt: skip


def test_an_opaque_token_has_the_claims_of_a_jwt_and_is_asked_about_again(provider, introspecting):
    provider.opaque["tok"] = CLAIMS
    identity = introspecting.authenticate(bearer("tok"))
    assert (identity.subject, identity.tenant) == ("me", "north")
    assert (identity.parties, identity.scopes) == ({"p"}, {"a", "b"})
    assert is_accepted(introspecting, "tok")
    assert provider.requests["introspect"] == 1
    del provider.opaque["tok"]
    wait_until(lambda: not is_accepted(introspecting, "tok"), timeout=5)


def test_a_jwt_beside_opaque_tokens_is_verified_by_its_key(provider, introspecting):
    assert is_accepted(introspecting, provider.token(iss="https://id", aud="tmf"))
    assert "introspect" not in provider.requests


def test_without_keys_every_token_is_introspected(provider, create):
    authenticator = create(
        "",
        introspection_url=provider.url("introspect"),
        introspection_client=provider.client,
        introspection_secret=provider.secret,
    )
    token = provider.token()
    assert not is_accepted(authenticator, token)
    provider.opaque[token] = {"sub": "me"}
    assert is_accepted(authenticator, token)


@pytest.mark.parametrize(
    "claims",
    [
        {"sub": None},
        {"exp": 1},
        {"exp": "soon"},
        {"exp": True},
        {"nbf": 9_999_999_999},
        {"iss": "https://other"},
        {"aud": "other"},
        {"aud": []},
        {"tenant": "a:b"},
        {"party": "*"},
        {"scope": 5},
        {"active": False},
        {"cnf": {"jkt": "x"}},
    ],
)
def test_an_opaque_token_with_wrong_claims_is_refused(provider, introspecting, claims):
    provider.opaque["tok"] = {**CLAIMS, **claims}
    assert not is_accepted(introspecting, "tok")


@pytest.mark.parametrize("answer", ["", "[]", "{}", '{"active": "yes"}', "<html>"])
def test_an_outage_of_introspection_is_503_and_not_a_refusal(provider, introspecting, answer):
    provider.is_out = not answer
    provider.documents["introspect"] = answer
    with pytest.raises(Unavailable):
        introspecting.authenticate(bearer("tok"))


def test_a_wrong_client_secret_is_503(provider, create):
    authenticator = create(introspection_url=provider.url("introspect"))
    with pytest.raises(Unavailable):
        authenticator.authenticate(bearer("tok"))


@hypothesis_settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    claims=st.dictionaries(
        st.sampled_from(["sub", "exp", "nbf", "iat", "jti", "aud", "iss", "scope", "scp", "cnf",
                         "tenant", "party"]),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
            lambda children: st.lists(children) | st.dictionaries(st.text(), children),
        ),
    )
)  # fmt: skip
def test_no_claims_whatever_cause_another_error_than_a_refusal(provider, introspecting, claims):
    provider.opaque["tok"] = claims
    introspecting._cache.clear()
    with contextlib.suppress(Unauthorized, Unavailable):
        introspecting.authenticate(bearer("tok"))


def test_http_sources_are_permitted_on_loopback_only():
    for name in ("TMF_JWKS", "TMF_REVOCATION_LIST", "TMF_INTROSPECTION_URL"):
        for url in ("http://127.0.0.1.evil.example/x", "http://id.example/x", "http://10.0.0.1/"):
            with pytest.raises(ValueError, match=name):
                Settings.from_environment({name: url})
        assert Settings.from_environment({name: "https://id.example/x"})
        assert Settings.from_environment({name: "http://127.0.0.1:8/x"})


class EndlessAnswer(BaseHTTPRequestHandler):
    """Answers introspection with bytes without an end, as fast as they are read."""

    sent = 0

    def do_POST(self):
        self.send_response(200)
        self.end_headers()
        with contextlib.suppress(OSError):
            while EndlessAnswer.sent < 100 * 2**20:
                EndlessAnswer.sent += self.wfile.write(b" " * 65_536)

    def log_message(self, *_):
        pass


def test_an_endless_answer_of_introspection_is_not_read_into_memory(create):
    server = ThreadingHTTPServer(("127.0.0.1", 0), EndlessAnswer)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        url = f"http://127.0.0.1:{server.server_port}/"
        with pytest.raises(Unavailable):
            create(jwks="", introspection_url=url).authenticate(bearer("tok"))
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    assert EndlessAnswer.sent < 20 * 2**20
