"""The JSON-RPC messages of OVSDB and the rows of a switch, with odd content."""

import json
from contextlib import suppress

from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.ovsdb import operations
from adapters.ovsdb.jsonrpc import JsonDecoder
from adapters.ovsdb.session import parse_switch
from adapters.streams import ConnectionFailed

TEXT = st.text(max_size=10)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=5,
)
ODD = st.sampled_from(
    [None, 7, -1.5, "x", [], {}, True, ["set", []], ["set", 7], ["map", []], ["map", [7]],
     ["map", {}], ["uuid", []], ["set", [["uuid", "u"], 7]], ["map", [[0, ["set", []]]]], 1e999]
)  # fmt: skip


ROWS = {
    table: st.fixed_dictionaries(
        {
            column: st.one_of(*[st.just(good)] * 9, ODD)
            for column, good in {"_uuid": ["uuid", "u"], **row}.items()
        }
    )
    for table, row in {
        "Open_vSwitch": {"cur_cfg": 1, "next_cfg": 1, "ovs_version": "3", "external_ids": 7},
        "Bridge": {"name": "b", "datapath_type": ""},
        "Port": {
            "name": "p", "tag": 7, "vlan_mode": ["set", []], "trunks": ["set", []],
            "qos": ["uuid", "u"], "external_ids": ["map", [["service", "s"]]],
            "interfaces": ["uuid", "u"],
        },
        "Interface": {
            "name": "p", "type": "", "admin_state": "up", "link_state": "up", "link_speed": 1,
            "mac_in_use": "m", "ofport": 1, "error": ["set", []], "ingress_policing_rate": 0,
            "statistics": ["map", [["rx_bytes", 7]]],
        },
        "QoS": {
            "type": "linux-htb", "other_config": ["map", [["max-rate", "7"]]],
            "queues": ["map", [[0, ["uuid", "q"]]]], "external_ids": ["map", []],
        },
    }.items()
}  # fmt: skip


@settings(max_examples=150)
@given(st.tuples(*(st.lists(row, max_size=2) for row in ROWS.values())))
def test_a_database_with_odd_values_is_refused_or_usable(tables):
    with suppress(ConnectionFailed):
        switch = parse_switch([{"rows": rows} for rows in tables])
        for row in switch.ports.values():
            state = switch.state(row)
            if "vlan" in state:
                target = {**state, "tag": "t", "vlan": 9, "downstream": 5, "enabled": False}
                assert json.dumps(operations.port_operations(switch, row, target))


@settings(max_examples=25)
@given(st.lists(st.dictionaries(TEXT, VALUES), max_size=5), st.booleans(), st.integers(1, 99))
def test_messages_are_decoded_from_chunks_of_any_size(messages, is_ascii, size):
    octets = b" \n".join(
        json.dumps(content, ensure_ascii=is_ascii).encode() for content in messages
    )
    decoder, decoded = JsonDecoder(), []
    for start in range(0, len(octets), size):
        decoded += decoder.feed(octets[start : start + size])
    assert decoded == messages


@given(st.lists(st.binary(max_size=50) | st.sampled_from([b'{"', b"}", b"{", b'\\"', b"[]"])))
def test_the_decoder_accepts_arbitrary_octets(chunks):
    decoder = JsonDecoder()
    with suppress(ConnectionFailed):
        for chunk in chunks:
            decoder.feed(chunk)
