"""JSON pointers with conditions, the paths of TMF630 part 5."""

import re
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tmf_apis.errors import Conflict, FeatureNotImplemented, InvalidBody, InvalidQuery
from tmf_apis.rest.pipeline.patching import JSON_PATCH_QUERY, parse_patch
from tmf_apis.settings import Settings

PARTY = "productOrderItem.product.relatedParty"
ORDER = {
    "state": "new",
    "priority": 4,
    "note": [
        {"author": "Arthur", "text": "called", "date": "2026-01-02T10:00:00.000Z"},
        {"author": "John Doe", "date": "2026-01-03T10:00:00.000Z"},
    ],
    "productOrderItem": [
        {
            "id": "1",
            "quantity": 1,
            "product": {
                "relatedParty": [
                    {"name": "Mary", "role": "customer"},
                    {"name": "John", "role": "seller"},
                ],
                "productCharacteristic": [
                    {"name": "reason", "value": ["lost", "stolen"]},
                    {"name": "order", "value": {"id": "7"}},
                ],
            },
            "note": [{"author": "x", "text": "a"}, {"author": "y", "text": "b"}],
        },
        {
            "id": "2",
            "quantity": 1,
            "isBundle": True,
            "product": {"relatedParty": [{"name": "John", "role": "customer"}]},
            "note": [{"author": "x", "text": "c"}],
        },
    ],
}


def patched(op, path, document=ORDER, **members):
    operation = {"op": op, "path": path, **members}
    return parse_patch(JSON_PATCH_QUERY, [operation], Settings()).apply(document)


def quantities(document):
    return [item["quantity"] for item in document["productOrderItem"]]


def test_an_attribute_is_replaced_if_it_has_a_value():
    assert patched("replace", "/state?state=new", value="held")["state"] == "held"
    with pytest.raises(InvalidBody, match="nothing"):
        patched("replace", "/state?state=done", value="held")


@pytest.mark.parametrize("path", ["/note/text?note.author=John Doe", "/note?author=John Doe/text"])
def test_conditions_are_at_the_end_or_at_a_segment(path):
    changed = patched("add", path, value="informed")
    assert [note.get("text") for note in changed["note"]] == ["called", "informed"]


@pytest.mark.parametrize(
    ("conditions", "expected"),
    [
        ("productOrderItem.id=1", [9, 1]),
        ("productOrderItem.id==2", [1, 9]),
        ("productOrderItem.id!=2", [9, 1]),
        ("productOrderItem.id=1&productOrderItem.id=2", [9, 9]),
        ("productOrderItem.isBundle=true", [1, 9]),
        ("productOrderItem.quantity>=1&productOrderItem.id<2", [9, 1]),
        ("productOrderItem.product.relatedParty.name=John", [9, 9]),
        (
            f"{PARTY}.name=John&{PARTY}.role=customer",
            [1, 9],
        ),
        (
            f"{PARTY}[?(@.name=='John' && @.role=='seller')]&productOrderItem.quantity=1",
            [9, 1],
        ),
    ],
)
def test_several_conditions_select_the_elements_that_meet_all_of_them(conditions, expected):
    changed = patched("replace", f"/productOrderItem/quantity?{conditions}", value=9)
    assert quantities(changed) == expected


def test_conditions_at_several_segments_select_in_nested_arrays():
    path = "/productOrderItem?id=1/note?author=x/text"
    items = patched("replace", path, value="z")["productOrderItem"]
    assert [[note["text"] for note in item["note"]] for item in items] == [["z", "b"], ["c"]]


def test_a_condition_at_a_segment_does_not_select_below_it():
    items = patched("remove", "/productOrderItem?note.author=y/note")["productOrderItem"]
    assert ["note" in item for item in items] == [False, True]


def test_positions_and_the_end_of_an_array_can_be_named():
    items = patched("replace", "/productOrderItem/1/note?author=x/text", value="z")[
        "productOrderItem"
    ]
    assert [item["note"][0]["text"] for item in items] == ["a", "z"]
    path = "/productOrderItem?id=2/note/-"
    items = patched("add", path, value={"text": "d"})["productOrderItem"]
    assert [len(item["note"]) for item in items] == [2, 2]
    assert items[1]["note"][-1] == {"text": "d"}


def test_add_appends_to_an_array_and_adds_members_to_an_object():
    characteristic = "/productOrderItem/product/productCharacteristic"
    name = "productOrderItem.product.productCharacteristic.name"
    added = patched("add", f"{characteristic}/value?{name}=reason", value="fraud")
    values = added["productOrderItem"][0]["product"]["productCharacteristic"]
    assert values[0]["value"] == ["lost", "stolen", "fraud"]
    added = patched("add", f"{characteristic}/value?{name}=order", value={"x": 1})
    values = added["productOrderItem"][0]["product"]["productCharacteristic"]
    assert values[1]["value"] == {"id": "7", "x": 1}
    assert len(patched("add", "/note", value={"author": "new"})["note"]) == 3
    added = patched("add", "note[?(@.author=='John Doe')]", value={"text": "informed"})
    assert [note.get("text") for note in added["note"]] == ["called", "informed"]
    assert patched("add", "/note/0", value={"author": "first"})["note"][0] == {"author": "first"}


def test_an_item_of_an_array_of_texts_is_selected_by_its_value():
    path = (
        "/productOrderItem/product/productCharacteristic/value"
        "?productOrderItem.product.productCharacteristic.value=stolen"
    )
    changed = patched("remove", path)
    values = changed["productOrderItem"][0]["product"]["productCharacteristic"]
    assert values[0]["value"] == ["lost"]


def test_remove_takes_every_selected_element():
    assert patched("remove", "/note?note.author!=nobody")["note"] == []


def test_move_copy_and_test_use_conditions():
    source = "/note?author=Arthur/text"
    moved = patched("move", "/note?author=John Doe/text", **{"from": source})
    assert [note.get("text") for note in moved["note"]] == [None, "called"]
    copied = patched("copy", "/note?author=John Doe/text", **{"from": source})
    assert [note.get("text") for note in copied["note"]] == ["called", "called"]
    assert patched("test", source, value="called") == ORDER
    with pytest.raises(Conflict, match=r"/0: test '/note\?author=Arthur/text'"):
        patched("test", source, value="other")


def test_times_are_compared_in_any_offset():
    path = "/note?date=2026-01-02T12:00:00%2B02:00/author"
    assert patched("replace", path, value="z")["note"][0]["author"] == "z"
    assert patched("remove", "/note?date>2026-01-02T23:00:00+02:00")["note"] == ORDER["note"][:1]


@pytest.mark.parametrize(
    "value", ["a/b", "a?b", "a&b", "a=b", "a~b", "100%", "a+b", "~1", " ", "é/ü"]
)
def test_every_special_character_can_be_written_in_a_value(value):
    document = {"note": [{"author": value}, {"author": "other"}]}
    for written in (quote(value, safe="").replace("~", "~0"), f'"{value}"'):
        changed = patched("add", f"/note?author={written}/text", document, value="z")
        assert [note.get("text") for note in changed["note"]] == ["z", None], written


@given(st.text(st.characters(codec="utf-8"), max_size=20))
def test_an_escaped_value_finds_exactly_its_element(value):
    document = {"note": [{"author": value}, {"author": f"{value}x"}]}
    written = quote(value, safe="").replace("~", "~0")
    changed = patched("remove", f"/note?note.author={written}", document)
    assert changed == {"note": [{"author": f"{value}x"}]}


@pytest.mark.parametrize(
    "path",
    [
        "/note?",
        "/note?author",
        "/note?author=x&",
        "/note?=x",
        "/note?a..b=x",
        "/note?author=%ff",
        "/note?author[?(@.x==1",
        "/note?author[0]",
        '/note?author="x"y',
        "$.note[?(@.author=='x')",
        "$.note[?(@.author==",
        "note..author",
        "note?author=x",
        "/note?author=" + "x" * 900 + "&" + "=",
    ],
)
def test_an_error_names_the_operation_and_speaks_of_the_patch(path):
    operations = [
        {"op": "test", "path": "/state", "value": "new"},
        {"op": "replace", "path": path, "value": 1},
    ]
    with pytest.raises((InvalidBody, FeatureNotImplemented)) as caught:
        parse_patch(JSON_PATCH_QUERY, operations, Settings()).apply(ORDER)
    assert not isinstance(caught.value, InvalidQuery)
    message = caught.value.message
    assert message.startswith("/1")
    assert repr(path[:20])[:-1] in message
    assert not re.search("filter|parameter", message)
    assert len(message) < 500


def test_all_malformed_operations_are_named_at_once():
    operations = [{"op": "jump"}, {"op": "add", "path": "/a"}, {"op": "remove", "path": "/a?"}, 7]
    with pytest.raises(InvalidBody) as caught:
        parse_patch(JSON_PATCH_QUERY, operations, Settings())
    assert [f"/{number}" in caught.value.message for number in range(4)] == [True] * 4
