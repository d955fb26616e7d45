"""The keys of SIM cards in the credentials of an HLR."""

import pytest

from adapters.credentials import Secret
from adapters.errors import Misconfigured
from adapters.osmo_hlr.keys import find_keys

IMSI, OTHER_IMSI, UNKNOWN_IMSI = "901700000000001", "901700000000002", "901700000000099"


@pytest.mark.parametrize("text", ["", "milenage opc", f"xor ki {'0' * 31}", "comp128v4 ki 00", ";"])
def test_invalid_keys_are_refused_and_not_quoted(text):
    with pytest.raises(Misconfigured, match=IMSI) as caught:
        find_keys(IMSI, Secret({IMSI: text or " "}), "x")
    assert not text.strip(";") or text not in str(caught.value)


def test_keys_can_be_in_a_file(tmp_path):
    file = tmp_path / "cards"
    file.write_text(
        f"{OTHER_IMSI} comp128v1 ki {'1' * 32}\n{IMSI} milenage k {'2' * 32} op {'3' * 32}\n"
    )
    keys = find_keys(IMSI, Secret({"file": str(file)}), "x")
    attributes = {"aud3g.algo": "MILENAGE", "aud3g.k": "2" * 32, "aud3g.op": "3" * 32}
    assert keys.are_equal_to(attributes)
    assert not keys.are_equal_to({**attributes, "aud2g.algo": "COMP128v1", "aud2g.ki": "1" * 32})
    assert "2222" not in repr(keys)
    assert find_keys(UNKNOWN_IMSI, Secret({"file": str(file)}), "x") is None
