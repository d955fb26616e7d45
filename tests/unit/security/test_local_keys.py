"""The local signing key is one pair, also if several servers start at once or one dies."""

from concurrent.futures import ThreadPoolExecutor

import jwt
import orjson

from tmf_apis.security.local_keys import issue_token, jwks_file
from tmf_apis.settings import Settings


def assert_accepts_its_own_token(folder):
    token = issue_token(Settings(data_dir=folder), subject="s", scopes=[])
    [key] = orjson.loads(jwks_file(folder).read_bytes())["keys"]
    assert jwt.decode(token, jwt.PyJWK(key).key, algorithms=["EdDSA"])["sub"] == "s"


def test_servers_that_start_at_once_make_one_pair_of_keys(tmp_path):
    for number in range(20):
        folder = tmp_path / str(number)
        with ThreadPoolExecutor(4) as threads:
            list(threads.map(jwks_file, [folder] * 4))
        assert_accepts_its_own_token(folder)


def test_a_key_without_its_public_part_is_completed(tmp_path):
    jwks_file(tmp_path).unlink()
    assert_accepts_its_own_token(tmp_path)
