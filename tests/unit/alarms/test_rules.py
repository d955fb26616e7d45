import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.contract_enums import enum_values
from tests.support.memory_repository import MemoryRepository, matches, request_context
from tmf_apis.alarms import AlarmKey, actions, api_module, find_open, links, queries, rules
from tmf_apis.errors import Conflict, IllegalTransition, InvalidBody, NotFound, Unprocessable
from tmf_apis.settings import Settings

NOW = "2026-03-01T12:00:00.000Z"
EARLIER = "2026-03-01T11:00:00.000Z"
ALARM = {
    "@type": "Alarm",
    "alarmType": "communicationsAlarm",
    "perceivedSeverity": "major",
    "probableCause": "lossOfSignal",
    "sourceSystemId": "gw",
    "externalAlarmId": "link/3",
    "alarmedObject": {"@type": "AlarmedObjectRef", "id": "port3"},
    "alarmRaisedTime": EARLIER,
    "state": "raised",
}


def a_desk(*ids):
    desk = MemoryRepository(api_module(Settings()).policies)
    for one in ids:
        desk.create("Alarm", {**ALARM, "id": one}, system=False)
    return desk


def patch(desk, one, **changes):
    def edit(alarm):
        return {key: value for key, value in {**alarm, **changes}.items() if value is not None}

    return desk.change("Alarm", one, edit, system=False)


def post(desk, kind, **task):
    return desk.create(kind, {"@type": kind, **task}, system=False)


def listed(references):
    return [one["id"] for one in references]


@pytest.mark.parametrize(
    ("words", "name"),
    [
        (rules.ALARM_TYPES, "AlarmType"),
        (rules.SEVERITIES, "PerceivedSeverity"),
        (rules.ALARM_LIFECYCLE.states, "Alarm.state"),
        (rules.ACKNOWLEDGEMENTS, "Alarm.ackState"),
        (rules.TASK_LIFECYCLE.states, "AckAlarm.state"),
    ],
)
def test_the_words_are_exactly_those_of_the_contract(words, name):
    assert set(words) == enum_values("TMF642-v5", name)


def test_a_new_alarm_is_unacknowledged_and_has_its_times():
    made = rules.on_create({"id": "a", "state": "raised"}, request_context())
    assert made["ackState"] == "unacknowledged"
    assert made["alarmRaisedTime"] == made["alarmReportingTime"] == NOW
    assert "alarmClearedTime" not in made


def test_the_times_that_an_element_says_are_kept():
    assert rules.on_create({**ALARM, "id": "a"}, request_context())["alarmRaisedTime"] == EARLIER


def test_an_open_alarm_has_no_time_of_its_clear():
    made = rules.on_create({**ALARM, "id": "a", "alarmClearedTime": NOW}, request_context())
    assert "alarmClearedTime" not in made


@pytest.mark.parametrize(
    "change", [{"state": "cleared"}, {"perceivedSeverity": "cleared"}, {"state": "CLEARED"}]
)
def test_clearing_one_way_clears_altogether(change):
    for made in (
        rules.on_create({**ALARM, "id": "a", **change}, request_context()),
        patch(a_desk("a"), "a", **change),
    ):
        assert (made["state"], made["perceivedSeverity"]) == ("cleared", "cleared")
        assert made["alarmClearedTime"] == NOW


def test_clearing_again_does_not_move_the_time_of_the_clear():
    desk = a_desk("a")
    patch(desk, "a", state="cleared", alarmClearedTime="2026-03-01T11:30:00.000Z")
    again = patch(desk, "a", probableCause="other")
    assert again["alarmClearedTime"] == "2026-03-01T11:30:00.000Z"


def test_the_time_of_a_clear_cannot_be_removed():
    desk = a_desk("a")
    patch(desk, "a", state="cleared")
    assert patch(desk, "a", alarmClearedTime=None)["alarmClearedTime"] == NOW


def test_an_alarm_is_not_cleared_before_it_was_raised():
    with pytest.raises(InvalidBody, match="alarmClearedTime"):
        patch(a_desk("a"), "a", state="cleared", alarmClearedTime="2026-03-01T10:00:00.000Z")


def test_an_alarm_of_a_fast_clock_is_cleared_when_it_was_raised():
    desk = a_desk("a")
    patch(desk, "a", alarmRaisedTime="2026-03-01T13:00:00.000Z")
    assert patch(desk, "a", state="cleared")["alarmClearedTime"] == "2026-03-01T13:00:00.000Z"


@pytest.mark.parametrize(
    ("change", "severity"),
    [({"state": "raised"}, "indeterminate"), ({"perceivedSeverity": "minor"}, "minor")],
)
def test_a_cleared_alarm_can_be_raised_anew(change, severity):
    desk = a_desk("a")
    patch(desk, "a", ackState="acknowledged")
    patch(desk, "a", state="cleared", clearUserId="u")
    raised = patch(desk, "a", **change)
    assert (raised["state"], raised["perceivedSeverity"]) == ("raised", severity)
    assert raised["alarmRaisedTime"] == NOW
    assert raised["ackState"] == "unacknowledged"
    assert not {"alarmClearedTime", "clearUserId"} & set(raised)


def test_a_cleared_alarm_is_not_updated():
    desk = a_desk("a")
    patch(desk, "a", state="cleared")
    with pytest.raises(IllegalTransition, match="raised"):
        patch(desk, "a", state="updated")


@pytest.mark.parametrize(
    "change",
    [
        {"state": "updated"},
        {"alarmType": "equipmentAlarm"},
        {"perceivedSeverity": "critical"},
        {"probableCause": "cableCut"},
    ],
)
def test_what_conformance_patches_can_be_patched_and_the_change_is_dated(change):
    changed = patch(a_desk("a"), "a", **change)
    assert {name: changed[name] for name in change} == change
    assert changed["alarmChangedTime"] == NOW


def test_an_acknowledgement_says_who():
    assert patch(a_desk("a"), "a", ackState="acknowledged")["ackUserId"] == "tester"
    said = patch(a_desk("a"), "a", ackState="acknowledged", ackUserId="ada")
    assert said["ackUserId"] == "ada"


def test_comments_are_never_lost_and_say_who_and_when():
    desk = a_desk("a")
    patch(desk, "a", comment=[{"comment": "first", "userId": "ada"}])
    alarm = patch(desk, "a", comment=[{"comment": "second"}])
    assert [one["comment"] for one in alarm["comment"]] == ["first", "second"]
    assert [one["userId"] for one in alarm["comment"]] == ["ada", "tester"]
    assert {one["time"] for one in alarm["comment"]} == {NOW}


CHANGES = st.dictionaries(
    st.sampled_from(["state", "perceivedSeverity", "ackState", "alarmClearedTime", "comment"]),
    st.sampled_from(["raised", "updated", "cleared", "minor", "acknowledged", NOW, None]),
    min_size=1,
)


@settings(max_examples=200, deadline=None)
@given(st.lists(CHANGES, max_size=6))
def test_whatever_is_patched_a_clear_is_a_clear(changes):
    desk = a_desk("a")
    for change in changes:
        try:
            patch(desk, "a", **{k: v for k, v in change.items() if v or k != "state"})
        except (Conflict, InvalidBody):
            continue
        alarm = desk.get("Alarm", "a")
        cleared = alarm["state"] == "cleared"
        assert cleared == (alarm.get("perceivedSeverity") == "cleared")
        assert cleared == ("alarmClearedTime" in alarm)


# Which alarms are meant


def test_a_pattern_matches_alarms_that_have_all_of_it_and_the_list_is_or():
    desk = a_desk("a", "b", "c", "d")
    patch(desk, "b", perceivedSeverity="minor")
    patch(desk, "c", perceivedSeverity="minor", probableCause="fire")
    patterns = [
        {"@type": "Alarm", "perceivedSeverity": "minor", "probableCause": "fire"},
        {"id": "a", "@type": "AlarmRef", "href": "http://elsewhere/a"},
        {"alarmedObject": {"id": "nothing"}},
    ]
    assert queries.find_matching(desk, patterns, "/x") == (["c", "a"], [])


def test_a_pattern_reaches_into_objects_and_arrays():
    desk = a_desk("a", "b")
    patch(desk, "b", comment=[{"comment": "look", "userId": "ada"}])
    assert queries.find_matching(desk, [{"alarmedObject": {"id": "port3"}}], "")[0] == ["a", "b"]
    pattern = {"comment": [{"userId": "ada", "comment": "look"}]}
    assert queries.find_matching(desk, [pattern], "")[0] == ["b"]


@pytest.mark.parametrize(
    "pattern", [{}, {"@type": "Alarm"}, {"alarmedObject": {}}, {"comment": []}]
)
def test_a_pattern_that_says_nothing_is_refused(pattern):
    with pytest.raises(InvalidBody, match=r"/alarmPattern/0.*: expected"):
        queries.find_matching(a_desk(), [pattern], "/alarmPattern")


@pytest.mark.parametrize("name", ["$where", "a.b", "", "a\0b"])
def test_operators_in_patterns_are_refused(name):
    for pattern in ({name: 1}, {"alarmedObject": {name: 1}}, {"comment": [{name: 1}]}):
        with pytest.raises(InvalidBody, match="no attribute has such a name"):
            queries.find_matching(a_desk(), [pattern], "/alarmPattern")


def test_more_than_a_task_may_change_is_refused_before_anything_is(monkeypatch):
    monkeypatch.setattr(queries, "MAX_TASK_ALARMS", 3)
    desk = a_desk("a", "b", "c", "d")
    with pytest.raises(Unprocessable, match="more than 3"):
        post(desk, "ClearAlarm", alarmPattern=[{"sourceSystemId": "gw"}])
    assert {one["state"] for one in desk.find("Alarm", {})} == {"raised"}


SCALARS = st.sampled_from(["x", "y", 1, True])
OBJECTS = st.dictionaries(st.sampled_from("pq"), SCALARS, min_size=1, max_size=2)
ALARMS = st.dictionaries(
    st.sampled_from(["a", "b", "c"]), SCALARS | OBJECTS | st.lists(OBJECTS, max_size=2), min_size=1
)


def has(alarm, pattern):
    if isinstance(pattern, dict):
        inner = alarm if isinstance(alarm, list) else [alarm]
        return all(
            any(isinstance(one, dict) and name in one and has(one[name], wanted) for one in inner)
            for name, wanted in pattern.items()
        )
    if isinstance(pattern, list):
        items = alarm if isinstance(alarm, list) else [alarm]
        return all(
            isinstance(alarm, list) and any(has(one, wanted) for one in items) for wanted in pattern
        )
    return alarm == pattern


@settings(max_examples=200, deadline=None)
@given(ALARMS, ALARMS)
def test_the_query_of_a_pattern_agrees_with_a_plain_comparison(alarm, pattern):
    try:
        query = queries.pattern_query(pattern, "")
    except InvalidBody:
        return
    assert matches(alarm, query) == has(alarm, pattern)


def test_the_open_alarm_of_a_problem_is_found_and_a_cleared_one_is_not():
    desk = a_desk("a", "b")
    key = AlarmKey("gw", "link/3")
    assert find_open(desk, key)["id"] == "b"
    patch(desk, "b", state="cleared")
    assert find_open(desk, key)["id"] == "a"
    patch(desk, "a", state="cleared")
    assert find_open(desk, key) is None


# Tasks


def test_acknowledging_reports_each_alarm_and_can_be_repeated():
    desk = a_desk("a", "b", "c")
    wanted = {"ackUserId": "ada", "ackSystemId": "noc", "alarmPattern": [{"id": "a"}, {"id": "b"}]}
    task = post(desk, "AckAlarm", state="canceled", **wanted)
    assert (task["state"], listed(task["ackedAlarm"])) == ("done", ["a", "b"])
    alarm = desk.get("Alarm", "a")
    assert [alarm[name] for name in ("ackState", "ackUserId", "ackSystemId")] == [
        "acknowledged", "ada", "noc",
    ]  # fmt: skip
    before = desk.resources["Alarm"]["a"]
    assert listed(post(desk, "AckAlarm", **wanted)["ackedAlarm"]) == ["a", "b"]
    assert desk.resources["Alarm"]["a"] == before
    assert desk.get("Alarm", "c")["ackState"] == "unacknowledged"
    undone = post(desk, "UnAckAlarm", ackUserId="bob", alarmPattern=[{"ackState": "acknowledged"}])
    assert listed(undone["unAckedAlarm"]) == ["a", "b"]
    assert desk.get("Alarm", "a")["ackUserId"] == "bob"


def test_clearing_takes_time_and_user_from_the_task():
    desk = a_desk("a")
    said = {
        "alarmClearedTime": "2026-03-01T11:30:00.000Z",
        "clearUserId": "u",
        "clearSystemId": "s",
    }
    task = post(desk, "ClearAlarm", alarmPattern=[{"id": "a"}], **said)
    assert task["state"] == "done"
    alarm = desk.get("Alarm", "a")
    assert {name: alarm[name] for name in said} == said
    assert alarm["perceivedSeverity"] == "cleared"


def test_what_cannot_be_done_is_said_and_the_rest_is_done():
    desk = a_desk("a", "b")
    patch(desk, "b", alarmRaisedTime="2026-03-01T11:45:00.000Z")
    task = post(
        desk,
        "ClearAlarm",
        alarmClearedTime="2026-03-01T11:30:00.000Z",
        alarmPattern=[{"sourceSystemId": "gw"}, {"id": "nobody"}],
    )
    assert (task["state"], listed(task["clearedAlarm"])) == ("terminatedWithError", ["a"])
    assert [one["alarm"]["id"] for one in task["failure"]] == ["nobody", "b"]


def test_a_comment_is_appended_once_however_often_the_task_is_done():
    desk = a_desk("a")
    task = post(desk, "CommentAlarm", comment={"comment": "hm"}, alarmPattern=[{"id": "a"}])
    assert listed(task["commentedAlarm"]) == ["a"]
    desk.resources["CommentAlarm"][task["id"]]["state"] = "inProgress"
    desk.policies["CommentAlarm"].run_in_background(desk, task)
    (comment,) = desk.get("Alarm", "a")["comment"]
    assert comment == {"@type": "Comment", "comment": "hm", "time": NOW, "userId": "tester"}


def test_much_work_is_left_to_the_worker_and_survives_its_end(monkeypatch):
    monkeypatch.setattr(actions, "MAX_SYNCHRONOUS_ALARMS", 2)
    desk = a_desk("a", "b", "c", "d")
    task = post(desk, "AckAlarm", ackUserId="ada", alarmPattern=[{"sourceSystemId": "gw"}])
    assert task["state"] == "inProgress"
    assert desk.get("Alarm", "a")["ackState"] == "unacknowledged"
    begin = desk.policies["AckAlarm"].run_in_background
    desk.writes_until_crash = 2
    with pytest.raises(RuntimeError):
        begin(desk, task)
    desk.writes_until_crash = None
    desk.delete("Alarm", "d")
    begin(desk, task)
    begin(desk, task)
    ended = desk.get("AckAlarm", task["id"])
    assert (ended["state"], listed(ended["ackedAlarm"])) == ("terminatedWithError", ["a", "b", "c"])
    assert {one["ackState"] for one in desk.find("Alarm", {})} == {"acknowledged"}


def group(desk, parent, *children, kind="GroupAlarm"):
    return post(
        desk,
        kind,
        sourceSystemId="noc",
        parentAlarm={"@type": "AlarmRef", "id": parent},
        correlatedAlarm=[{"@type": "AlarmRef", "id": one} for one in children],
    )


def test_grouping_links_both_sides_and_ungrouping_takes_both_away():
    desk = a_desk("p", "a", "b")
    task = group(desk, "p", "a", "b")
    assert (task["state"], listed(task["groupedAlarm"])) == ("done", ["a", "b"])
    assert links.referenced_ids(desk.get("Alarm", "p"), links.CHILDREN) == {"a", "b"}
    assert links.referenced_ids(desk.get("Alarm", "a"), links.PARENTS) == {"p"}
    before = dict(desk.resources["Alarm"])
    group(desk, "p", "a", "b")
    assert desk.resources["Alarm"] == before
    undone = group(desk, "p", "a", kind="UnGroupAlarm")
    assert listed(undone["unGroupedAlarm"]) == ["a"]
    assert links.referenced_ids(desk.get("Alarm", "p"), links.CHILDREN) == {"b"}
    assert "parentAlarm" not in desk.get("Alarm", "a")


def test_no_alarm_becomes_its_own_parent():
    desk = a_desk("a", "b", "c")
    group(desk, "a", "b")
    group(desk, "b", "c")
    for parent, child in [("c", "a"), ("b", "a"), ("a", "a")]:
        with pytest.raises(Conflict, match="its own parent"):
            group(desk, parent, child)
    with pytest.raises(Conflict, match="its own parent"):
        patch(desk, "a", parentAlarm=[{"id": "c"}])


def test_grouping_under_an_alarm_that_is_not_there_ends_with_an_error():
    desk = a_desk("a")
    task = group(desk, "nobody", "a")
    assert (task["state"], task["groupedAlarm"]) == ("terminatedWithError", [])
    assert task["failure"][0]["alarm"]["id"] == "nobody"


def test_a_parent_set_by_patch_knows_its_child_and_forgets_it():
    desk = a_desk("p", "a")
    patch(desk, "a", parentAlarm=[{"id": "p"}])
    assert links.referenced_ids(desk.get("Alarm", "p"), links.CHILDREN) == {"a"}
    patch(desk, "a", parentAlarm=None)
    assert "correlatedAlarm" not in desk.get("Alarm", "p")


def test_nobody_names_an_alarm_that_is_gone():
    desk = a_desk("p", "a", "b")
    group(desk, "p", "a", "b")
    desk.delete("Alarm", "a")
    assert links.referenced_ids(desk.get("Alarm", "p"), links.CHILDREN) == {"b"}
    desk.delete("Alarm", "p")
    assert "parentAlarm" not in desk.get("Alarm", "b")
    with pytest.raises(NotFound):
        desk.get("Alarm", "p")


def test_an_alarm_that_comes_acknowledged_says_by_whom():
    made = rules.on_create({**ALARM, "id": "a", "ackState": "acknowledged"}, request_context())
    assert made["ackUserId"] == "tester"


def test_what_the_new_raise_says_is_kept():
    desk = a_desk("a")
    patch(desk, "a", state="cleared")
    said = {"alarmRaisedTime": "2026-03-01T11:59:00.000Z", "ackState": "acknowledged"}
    raised = patch(desk, "a", state="raised", perceivedSeverity="minor", **said)
    assert {name: raised[name] for name in said} == said


def test_a_pattern_may_list_plain_values_and_types_alone_say_nothing():
    desk = a_desk("a", "b")
    patch(desk, "b", tags=["fibre", "west"])
    assert queries.find_matching(desk, [{"tags": ["west"]}], "")[0] == ["b"]
    pattern = {"tags": ["west"], "comment": [{"@type": "Comment"}]}
    assert queries.find_matching(desk, [pattern], "")[0] == ["b"]


def test_what_is_acknowledged_or_cleared_already_stays_as_it_is():
    desk = a_desk("a")
    post(desk, "ClearAlarm", clearUserId="first", alarmPattern=[{"id": "a"}])
    before = desk.get("Alarm", "a")
    post(desk, "ClearAlarm", clearUserId="second", alarmPattern=[{"id": "a"}])
    post(desk, "UnAckAlarm", ackUserId="second", alarmPattern=[{"id": "a"}])
    group(desk, "a", "a", kind="UnGroupAlarm")
    assert desk.get("Alarm", "a") == before


def test_a_parent_that_goes_meanwhile_is_an_error_of_the_task(monkeypatch):
    monkeypatch.setattr(actions, "MAX_SYNCHRONOUS_ALARMS", 0)
    desk = a_desk("p", "a")
    task = group(desk, "p", "a")
    desk.delete("Alarm", "p")
    desk.policies["GroupAlarm"].run_in_background(desk, task)
    ended = desk.get("GroupAlarm", task["id"])
    assert (ended["state"], ended["groupedAlarm"]) == ("terminatedWithError", [])
