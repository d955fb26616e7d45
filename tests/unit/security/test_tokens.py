"""Authentication: accepted and rejected tokens."""

import json
import time

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from tmf_apis.errors import Forbidden, Unauthorized
from tmf_apis.security.local_keys import issue_token, jwks_file
from tmf_apis.security.tokens import TokenAuthenticator
from tmf_apis.settings import Settings


class Clock:
    """A clock that the test sets."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def settings(tmp_path):
    return Settings(data_dir=tmp_path, clock_skew=5.0)


@pytest.fixture
def authenticator(settings):
    return TokenAuthenticator(settings, enabled=True, jwks=str(jwks_file(settings.data_dir)))


def bearer(text):
    return {"authorization": f"Bearer {text}"}


def signed(settings, key=None, **claims):
    """Return a token with these claims, signed with the local key; None removes a claim."""
    pem = (settings.data_dir / "keys" / "signing.pem").read_text()
    claims = {"sub": "me", "exp": time.time() + 60, "scope": "tmf620:read", **claims}
    claims = {name: value for name, value in claims.items() if value is not None}
    return jwt.encode(claims, key or pem, algorithm="EdDSA", headers={"kid": "local"})


def test_a_token_names_subject_tenant_parties_and_scopes(settings, authenticator):
    text = issue_token(settings, subject="ann", scopes=["a", "b"], tenant="north", parties=["p1"])
    identity = authenticator.authenticate(bearer(text))
    assert identity.subject == "ann"
    assert identity.tenant == "north"
    assert identity.parties == {"p1"}
    assert identity.scopes == {"a", "b"}


def test_a_token_without_party_gives_access_to_the_whole_tenant(settings, authenticator):
    identity = authenticator.authenticate(bearer(issue_token(settings, subject="ann", scopes=[])))
    assert identity.read_filter() == {"tenant": "default"}


def test_a_token_with_an_empty_party_sees_only_what_everyone_sees(settings, authenticator):
    identity = authenticator.authenticate(bearer(signed(settings, party=[])))
    assert identity.read_filter() == {"tenant": "default", "parties": {"$in": ["*"]}}
    assert identity.write_filter() == {"tenant": "default", "parties": {"$in": []}}


@pytest.mark.parametrize(
    "claims",
    [
        {"exp": 1},
        {"exp": None},
        {"sub": None},
        {"nbf": 9_999_999_999},
        {"tenant": "a:b"},
        {"tenant": "~gone"},
        {"tenant": 7},
        {"party": "*"},
        {"party": {"id": "x"}},
        {"party": [""]},
        {"scope": 5},
        {"sub": ""},
        *(
            {claim: text}
            for claim in ("sub", "tenant", "party", "scope")
            for text in ("a\0b", "a\x01b", "\ud800", "a\x7f")
        ),
        {"party": ["fine", "a\r\nb"]},
        {"sub": "a\r\nb"},
    ],
)
def test_a_token_with_wrong_claims_is_refused(settings, authenticator, claims):
    with pytest.raises(Unauthorized):
        authenticator.authenticate(bearer(signed(settings, **claims)))


@pytest.mark.parametrize("exp", [2**63, 10**308, 10**400, 1e308, 9_999_999_999.5])
def test_a_token_may_be_valid_until_any_time(settings, authenticator, exp):
    assert authenticator.authenticate(bearer(signed(settings, exp=exp))).subject


@pytest.mark.parametrize("header", ["", "Basic YTpi", "Bearer", "Bearer a.b.c", "Bearer \x00"])
def test_a_missing_or_malformed_bearer_token_is_refused_with_a_challenge(authenticator, header):
    with pytest.raises(Unauthorized) as caught:
        authenticator.authenticate({"authorization": header})
    assert caught.value.headers["WWW-Authenticate"].startswith("Bearer ")


def test_a_token_of_another_key_is_refused(settings, authenticator):
    other = ec.generate_private_key(ec.SECP256R1())
    forged = jwt.encode(
        {"sub": "x", "exp": time.time() + 60}, other, algorithm="ES256", headers={"kid": "local"}
    )
    with pytest.raises(Unauthorized):
        authenticator.authenticate(bearer(forged))


def test_an_unsigned_token_is_refused(authenticator):
    none = jwt.encode({"sub": "x", "exp": time.time() + 60}, None, algorithm="none")
    with pytest.raises(Unauthorized):
        authenticator.authenticate(bearer(none))


def test_a_public_key_is_not_accepted_as_a_shared_secret(settings, authenticator):
    jwks = json.loads((settings.data_dir / "keys" / "jwks.json").read_text())
    public = jwks["keys"][0]["x"]
    forged = jwt.encode(
        {"sub": "x", "exp": time.time() + 60}, public, algorithm="HS256", headers={"kid": "local"}
    )
    with pytest.raises(Unauthorized):
        authenticator.authenticate(bearer(forged))


def test_issuer_and_audience_must_match_the_settings(tmp_path):
    settings = Settings(data_dir=tmp_path, issuer="https://id", audience="tmf")
    authenticator = TokenAuthenticator(settings, enabled=True, jwks=str(jwks_file(tmp_path)))
    good = {"iss": "https://id", "aud": "tmf"}
    assert authenticator.authenticate(bearer(signed(settings, **good))).subject == "me"
    for wrong in ({"iss": "https://other"}, {"aud": "else"}, {"aud": None}):
        with pytest.raises(Unauthorized):
            authenticator.authenticate(bearer(signed(settings, **{**good, **wrong})))


def test_a_rotated_key_is_loaded_without_a_restart(tmp_path):
    file = tmp_path / "jwks.json"

    def publish(kid):
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        jwk = jwt.algorithms.RSAAlgorithm.to_jwk(key.public_key(), as_dict=True)
        file.write_text(json.dumps({"keys": [{**jwk, "kid": kid, "alg": "RS256"}]}))
        claims = {"sub": "x", "exp": time.time() + 60}
        return jwt.encode(claims, key, algorithm="RS256", headers={"kid": kid})

    clock = Clock()
    authenticator = TokenAuthenticator(Settings(), enabled=True, jwks=str(file), clock=clock)
    assert authenticator.authenticate(bearer(publish("one"))).subject == "x"
    second = publish("two")
    clock.now += 60
    assert authenticator.authenticate(bearer(second)).subject == "x"


def test_without_authentication_any_authorization_header_is_ignored(settings):
    authenticator = TokenAuthenticator(settings, enabled=False, jwks="")
    assert authenticator.authenticate(bearer("whatever")).scopes is None


def test_a_missing_scope_is_named(settings, authenticator):
    identity = authenticator.authenticate(
        bearer(issue_token(settings, subject="x", scopes=["tmf620:read"]))
    )
    identity.require_scopes(["tmf620:read"])
    with pytest.raises(Forbidden, match="tmf620:create"):
        identity.require_scopes(["tmf620:create"])


def test_the_local_signing_key_is_for_its_owner_only(settings):
    jwks_file(settings.data_dir)
    mode = (settings.data_dir / "keys" / "signing.pem").stat().st_mode
    assert mode & 0o077 == 0
