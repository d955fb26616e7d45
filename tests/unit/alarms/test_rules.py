"""Rules of alarms, patterns that select alarms, and tasks on alarms."""

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


def repository_with(*ids):
    """Return a repository with an open alarm for each id."""
    repository = MemoryRepository(api_module(Settings()).policies)
    for id in ids:
        repository.create("Alarm", {**ALARM, "id": id}, system=False)
    return repository


def patch(repository, id, **changes):
    def edit(alarm):
        return {key: value for key, value in {**alarm, **changes}.items() if value is not None}

    return repository.change("Alarm", id, edit, system=False)


def post(repository, kind, **task):
    return repository.create(kind, {"@type": kind, **task}, system=False)


def ids_of(references):
    return [reference["id"] for reference in references]


@pytest.mark.parametrize(
    ("states", "name"),
    [
        (rules.ALARM_LIFECYCLE.states, "Alarm.state"),
        (rules.TASK_LIFECYCLE.states, "AckAlarm.state"),
    ],
)
def test_the_states_are_exactly_those_of_the_contract(states, name):
    assert states == enum_values("TMF642-v5", name)


def test_the_values_that_the_rules_set_are_in_the_contract():
    severities = enum_values("TMF642-v5", "PerceivedSeverity")
    assert {rules.DEFAULT_SEVERITY, "cleared"} <= severities
    assert enum_values("TMF642-v5", "Alarm.ackState") == {"unacknowledged", "acknowledged"}


def test_a_new_alarm_is_unacknowledged_and_has_its_times():
    alarm = rules.on_create({"id": "a", "state": "raised"}, request_context())
    assert alarm["ackState"] == "unacknowledged"
    assert alarm["alarmRaisedTime"] == alarm["alarmReportingTime"] == NOW
    assert "alarmClearedTime" not in alarm


def test_the_raised_time_of_an_element_is_kept():
    assert rules.on_create({**ALARM, "id": "a"}, request_context())["alarmRaisedTime"] == EARLIER


def test_an_open_alarm_has_no_cleared_time():
    alarm = rules.on_create({**ALARM, "id": "a", "alarmClearedTime": NOW}, request_context())
    assert "alarmClearedTime" not in alarm


@pytest.mark.parametrize("change", [{"state": "cleared"}, {"perceivedSeverity": "cleared"}])
def test_clearing_state_or_severity_clears_both(change):
    for alarm in (
        rules.on_create({**ALARM, "id": "a", **change}, request_context()),
        patch(repository_with("a"), "a", **change),
    ):
        assert (alarm["state"], alarm["perceivedSeverity"]) == ("cleared", "cleared")
        assert alarm["alarmClearedTime"] == NOW


def test_a_change_of_a_cleared_alarm_keeps_the_cleared_time():
    repository = repository_with("a")
    patch(repository, "a", state="cleared", alarmClearedTime="2026-03-01T11:30:00.000Z")
    changed = patch(repository, "a", probableCause="other")
    assert changed["alarmClearedTime"] == "2026-03-01T11:30:00.000Z"


def test_the_cleared_time_cannot_be_removed():
    repository = repository_with("a")
    patch(repository, "a", state="cleared")
    assert patch(repository, "a", alarmClearedTime=None)["alarmClearedTime"] == NOW


def test_an_alarm_cannot_be_cleared_before_it_was_raised():
    with pytest.raises(InvalidBody, match="alarmClearedTime"):
        patch(
            repository_with("a"), "a", state="cleared", alarmClearedTime="2026-03-01T10:00:00.000Z"
        )


def test_an_alarm_raised_in_the_future_is_cleared_at_its_raised_time():
    repository = repository_with("a")
    patch(repository, "a", alarmRaisedTime="2026-03-01T13:00:00.000Z")
    assert patch(repository, "a", state="cleared")["alarmClearedTime"] == "2026-03-01T13:00:00.000Z"


@pytest.mark.parametrize(
    ("change", "severity"),
    [({"state": "raised"}, "indeterminate"), ({"perceivedSeverity": "minor"}, "minor")],
)
def test_a_cleared_alarm_can_be_raised_again(change, severity):
    repository = repository_with("a")
    patch(repository, "a", ackState="acknowledged")
    patch(repository, "a", state="cleared", clearUserId="u")
    raised = patch(repository, "a", **change)
    assert (raised["state"], raised["perceivedSeverity"]) == ("raised", severity)
    assert raised["alarmRaisedTime"] == NOW
    assert raised["ackState"] == "unacknowledged"
    assert not {"alarmClearedTime", "clearUserId"} & set(raised)


def test_a_cleared_alarm_cannot_become_updated():
    repository = repository_with("a")
    patch(repository, "a", state="cleared")
    with pytest.raises(IllegalTransition, match="raised"):
        patch(repository, "a", state="updated")


@pytest.mark.parametrize(
    "change",
    [
        {"state": "updated"},
        {"alarmType": "equipmentAlarm"},
        {"perceivedSeverity": "critical"},
        {"probableCause": "cableCut"},
    ],
)
def test_a_change_is_applied_and_dated(change):
    changed = patch(repository_with("a"), "a", **change)
    assert {name: changed[name] for name in change} == change
    assert changed["alarmChangedTime"] == NOW


def test_an_acknowledgement_records_its_user():
    assert patch(repository_with("a"), "a", ackState="acknowledged")["ackUserId"] == "tester"
    acknowledged = patch(repository_with("a"), "a", ackState="acknowledged", ackUserId="ada")
    assert acknowledged["ackUserId"] == "ada"


def test_comments_are_never_lost_and_record_user_and_time():
    repository = repository_with("a")
    patch(repository, "a", comment=[{"comment": "first", "userId": "ada"}])
    alarm = patch(repository, "a", comment=[{"comment": "second"}])
    assert [comment["comment"] for comment in alarm["comment"]] == ["first", "second"]
    assert [comment["userId"] for comment in alarm["comment"]] == ["ada", "tester"]
    assert {comment["time"] for comment in alarm["comment"]} == {NOW}


CHANGES = st.dictionaries(
    st.sampled_from(["state", "perceivedSeverity", "ackState", "alarmClearedTime", "comment"]),
    st.sampled_from(["raised", "updated", "cleared", "minor", "acknowledged", NOW, None]),
    min_size=1,
)


@settings(max_examples=200, deadline=None)
@given(st.lists(CHANGES, max_size=6))
def test_state_severity_and_cleared_time_agree_after_any_patches(changes):
    repository = repository_with("a")
    for change in changes:
        try:
            patch(repository, "a", **{k: v for k, v in change.items() if v or k != "state"})
        except (Conflict, InvalidBody):
            continue
        alarm = repository.get("Alarm", "a")
        cleared = alarm["state"] == "cleared"
        assert cleared == (alarm.get("perceivedSeverity") == "cleared")
        assert cleared == ("alarmClearedTime" in alarm)


# Patterns


def test_a_pattern_matches_all_its_attributes_and_a_list_matches_any_pattern():
    repository = repository_with("a", "b", "c", "d")
    patch(repository, "b", perceivedSeverity="minor")
    patch(repository, "c", perceivedSeverity="minor", probableCause="fire")
    patterns = [
        {"@type": "Alarm", "perceivedSeverity": "minor", "probableCause": "fire"},
        {"id": "a", "@type": "AlarmRef", "href": "http://elsewhere/a"},
        {"alarmedObject": {"id": "nothing"}},
    ]
    assert queries.find_matching(repository, patterns, "/x") == (["c", "a"], [])


def test_a_pattern_reaches_into_objects_and_arrays():
    repository = repository_with("a", "b")
    patch(repository, "b", comment=[{"comment": "look", "userId": "ada"}])
    assert queries.find_matching(repository, [{"alarmedObject": {"id": "port3"}}], "")[0] == [
        "a",
        "b",
    ]
    pattern = {"comment": [{"userId": "ada", "comment": "look"}]}
    assert queries.find_matching(repository, [pattern], "")[0] == ["b"]


@pytest.mark.parametrize(
    "pattern", [{}, {"@type": "Alarm"}, {"alarmedObject": {}}, {"comment": []}]
)
def test_an_empty_pattern_is_refused(pattern):
    with pytest.raises(InvalidBody, match=r"/alarmPattern/0.*: expected"):
        queries.find_matching(repository_with(), [pattern], "/alarmPattern")


@pytest.mark.parametrize("name", ["$where", "a.b", "", "a\0b"])
def test_operators_in_patterns_are_refused(name):
    for pattern in ({name: 1}, {"alarmedObject": {name: 1}}, {"comment": [{name: 1}]}):
        with pytest.raises(InvalidBody, match="no attribute has such a name"):
            queries.find_matching(repository_with(), [pattern], "/alarmPattern")


def test_too_many_alarms_are_refused_before_any_is_changed(monkeypatch):
    monkeypatch.setattr(queries, "MAX_TASK_ALARMS", 3)
    repository = repository_with("a", "b", "c", "d")
    with pytest.raises(Unprocessable, match="more than 3"):
        post(repository, "ClearAlarm", alarmPattern=[{"sourceSystemId": "gw"}])
    assert {alarm["state"] for alarm in repository.find("Alarm", {})} == {"raised"}


SCALARS = st.sampled_from(["x", "y", 1, True])
OBJECTS = st.dictionaries(st.sampled_from("pq"), SCALARS, min_size=1, max_size=2)
ALARMS = st.dictionaries(
    st.sampled_from(["a", "b", "c"]), SCALARS | OBJECTS | st.lists(OBJECTS, max_size=2), min_size=1
)


def is_match(value, pattern):
    """Return whether a value matches a pattern, in plain Python."""
    items = value if isinstance(value, list) else [value]
    if isinstance(pattern, dict):
        return all(
            any(
                isinstance(item, dict) and name in item and is_match(item[name], member)
                for item in items
            )
            for name, member in pattern.items()
        )
    if isinstance(pattern, list):
        return all(
            isinstance(value, list) and any(is_match(item, member) for item in items)
            for member in pattern
        )
    return value == pattern


@settings(max_examples=200, deadline=None)
@given(ALARMS, ALARMS)
def test_the_query_of_a_pattern_matches_the_same_alarms_as_in_python(alarm, pattern):
    try:
        query = queries.pattern_query(pattern, "")
    except InvalidBody:
        return
    assert matches(alarm, query) == is_match(alarm, pattern)


def test_find_open_finds_the_open_alarm_of_a_problem():
    repository = repository_with("a", "b")
    key = AlarmKey("gw", "link/3")
    assert find_open(repository, key)["id"] == "b"
    patch(repository, "b", state="cleared")
    assert find_open(repository, key)["id"] == "a"
    patch(repository, "a", state="cleared")
    assert find_open(repository, key) is None


# Tasks


def test_an_acknowledging_task_lists_each_alarm_and_can_be_repeated():
    repository = repository_with("a", "b", "c")
    attributes = {
        "ackUserId": "ada",
        "ackSystemId": "noc",
        "alarmPattern": [{"id": "a"}, {"id": "b"}],
    }
    task = post(repository, "AckAlarm", state="canceled", **attributes)
    assert (task["state"], ids_of(task["ackedAlarm"])) == ("done", ["a", "b"])
    alarm = repository.get("Alarm", "a")
    assert [alarm[name] for name in ("ackState", "ackUserId", "ackSystemId")] == [
        "acknowledged", "ada", "noc",
    ]  # fmt: skip
    before = repository.resources["Alarm"]["a"]
    assert ids_of(post(repository, "AckAlarm", **attributes)["ackedAlarm"]) == ["a", "b"]
    assert repository.resources["Alarm"]["a"] == before
    assert repository.get("Alarm", "c")["ackState"] == "unacknowledged"
    task = post(
        repository, "UnAckAlarm", ackUserId="bob", alarmPattern=[{"ackState": "acknowledged"}]
    )
    assert ids_of(task["unAckedAlarm"]) == ["a", "b"]
    assert repository.get("Alarm", "a")["ackUserId"] == "bob"


def test_a_clearing_task_provides_time_and_user():
    repository = repository_with("a")
    attributes = {
        "alarmClearedTime": "2026-03-01T11:30:00.000Z",
        "clearUserId": "u",
        "clearSystemId": "s",
    }
    task = post(repository, "ClearAlarm", alarmPattern=[{"id": "a"}], **attributes)
    assert task["state"] == "done"
    alarm = repository.get("Alarm", "a")
    assert {name: alarm[name] for name in attributes} == attributes
    assert alarm["perceivedSeverity"] == "cleared"


def test_a_task_reports_failures_and_changes_the_other_alarms():
    repository = repository_with("a", "b")
    patch(repository, "b", alarmRaisedTime="2026-03-01T11:45:00.000Z")
    task = post(
        repository,
        "ClearAlarm",
        alarmClearedTime="2026-03-01T11:30:00.000Z",
        alarmPattern=[{"sourceSystemId": "gw"}, {"id": "nobody"}],
    )
    assert (task["state"], ids_of(task["clearedAlarm"])) == ("terminatedWithError", ["a"])
    assert [failure["alarm"]["id"] for failure in task["failure"]] == ["nobody", "b"]


def test_a_repeated_task_adds_its_comment_once():
    repository = repository_with("a")
    task = post(repository, "CommentAlarm", comment={"comment": "hm"}, alarmPattern=[{"id": "a"}])
    assert ids_of(task["commentedAlarm"]) == ["a"]
    repository.resources["CommentAlarm"][task["id"]]["state"] = "inProgress"
    repository.policies["CommentAlarm"].run_in_background(repository, task)
    (comment,) = repository.get("Alarm", "a")["comment"]
    assert comment == {"@type": "Comment", "comment": "hm", "time": NOW, "userId": "tester"}


def test_the_worker_completes_a_large_task_after_a_crash(monkeypatch):
    monkeypatch.setattr(actions, "MAX_SYNCHRONOUS_ALARMS", 2)
    repository = repository_with("a", "b", "c", "d")
    task = post(repository, "AckAlarm", ackUserId="ada", alarmPattern=[{"sourceSystemId": "gw"}])
    assert task["state"] == "inProgress"
    assert repository.get("Alarm", "a")["ackState"] == "unacknowledged"
    complete = repository.policies["AckAlarm"].run_in_background
    repository.writes_until_crash = 2
    with pytest.raises(RuntimeError):
        complete(repository, task)
    repository.writes_until_crash = None
    repository.delete("Alarm", "d")
    complete(repository, task)
    complete(repository, task)
    ended = repository.get("AckAlarm", task["id"])
    assert (ended["state"], ids_of(ended["ackedAlarm"])) == ("terminatedWithError", ["a", "b", "c"])
    assert {alarm["ackState"] for alarm in repository.find("Alarm", {})} == {"acknowledged"}


def group(repository, parent, *children, kind="GroupAlarm"):
    return post(
        repository,
        kind,
        sourceSystemId="noc",
        parentAlarm={"@type": "AlarmRef", "id": parent},
        correlatedAlarm=[{"@type": "AlarmRef", "id": child} for child in children],
    )


def test_grouping_links_both_sides_and_ungrouping_unlinks_both():
    repository = repository_with("p", "a", "b")
    task = group(repository, "p", "a", "b")
    assert (task["state"], ids_of(task["groupedAlarm"])) == ("done", ["a", "b"])
    assert links.referenced_ids(repository.get("Alarm", "p"), links.CHILDREN) == {"a", "b"}
    assert links.referenced_ids(repository.get("Alarm", "a"), links.PARENTS) == {"p"}
    before = dict(repository.resources["Alarm"])
    group(repository, "p", "a", "b")
    assert repository.resources["Alarm"] == before
    task = group(repository, "p", "a", kind="UnGroupAlarm")
    assert ids_of(task["unGroupedAlarm"]) == ["a"]
    assert links.referenced_ids(repository.get("Alarm", "p"), links.CHILDREN) == {"b"}
    assert "parentAlarm" not in repository.get("Alarm", "a")


def test_an_alarm_cannot_become_its_own_parent():
    repository = repository_with("a", "b", "c")
    group(repository, "a", "b")
    group(repository, "b", "c")
    for parent, child in [("c", "a"), ("b", "a"), ("a", "a")]:
        with pytest.raises(Conflict, match="its own parent"):
            group(repository, parent, child)
    with pytest.raises(Conflict, match="its own parent"):
        patch(repository, "a", parentAlarm=[{"id": "c"}])


def test_grouping_under_an_unknown_alarm_ends_with_an_error():
    repository = repository_with("a")
    task = group(repository, "nobody", "a")
    assert (task["state"], task["groupedAlarm"]) == ("terminatedWithError", [])
    assert task["failure"][0]["alarm"]["id"] == "nobody"


def test_a_parent_set_by_patch_lists_its_child_until_it_is_removed():
    repository = repository_with("p", "a")
    patch(repository, "a", parentAlarm=[{"id": "p"}])
    assert links.referenced_ids(repository.get("Alarm", "p"), links.CHILDREN) == {"a"}
    patch(repository, "a", parentAlarm=None)
    assert "correlatedAlarm" not in repository.get("Alarm", "p")


def test_references_to_a_deleted_alarm_are_removed():
    repository = repository_with("p", "a", "b")
    group(repository, "p", "a", "b")
    repository.delete("Alarm", "a")
    assert links.referenced_ids(repository.get("Alarm", "p"), links.CHILDREN) == {"b"}
    repository.delete("Alarm", "p")
    assert "parentAlarm" not in repository.get("Alarm", "b")
    with pytest.raises(NotFound):
        repository.get("Alarm", "p")


def test_an_alarm_created_as_acknowledged_records_the_user():
    alarm = rules.on_create({**ALARM, "id": "a", "ackState": "acknowledged"}, request_context())
    assert alarm["ackUserId"] == "tester"


def test_attributes_of_a_second_raise_are_kept():
    repository = repository_with("a")
    patch(repository, "a", state="cleared")
    attributes = {"alarmRaisedTime": "2026-03-01T11:59:00.000Z", "ackState": "acknowledged"}
    raised = patch(repository, "a", state="raised", perceivedSeverity="minor", **attributes)
    assert {name: raised[name] for name in attributes} == attributes


def test_a_pattern_may_list_scalars_and_ignores_types():
    repository = repository_with("a", "b")
    patch(repository, "b", tags=["fibre", "west"])
    assert queries.find_matching(repository, [{"tags": ["west"]}], "")[0] == ["b"]
    pattern = {"tags": ["west"], "comment": [{"@type": "Comment"}]}
    assert queries.find_matching(repository, [pattern], "")[0] == ["b"]


def test_a_repeated_clear_or_unacknowledgement_changes_nothing():
    repository = repository_with("a")
    post(repository, "ClearAlarm", clearUserId="first", alarmPattern=[{"id": "a"}])
    before = repository.get("Alarm", "a")
    post(repository, "ClearAlarm", clearUserId="second", alarmPattern=[{"id": "a"}])
    post(repository, "UnAckAlarm", ackUserId="second", alarmPattern=[{"id": "a"}])
    group(repository, "a", "a", kind="UnGroupAlarm")
    assert repository.get("Alarm", "a") == before


def test_a_parent_deleted_meanwhile_is_a_failure_of_the_task(monkeypatch):
    monkeypatch.setattr(actions, "MAX_SYNCHRONOUS_ALARMS", 0)
    repository = repository_with("p", "a")
    task = group(repository, "p", "a")
    repository.delete("Alarm", "p")
    repository.policies["GroupAlarm"].run_in_background(repository, task)
    ended = repository.get("GroupAlarm", task["id"])
    assert (ended["state"], ended["groupedAlarm"]) == ("terminatedWithError", [])
