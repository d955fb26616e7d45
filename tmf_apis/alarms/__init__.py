"""TMF642 Alarm Management: alarms, and tasks that act on many alarms at once."""

from functools import partial

from tmf_apis.alarms import actions, links, model, rules
from tmf_apis.alarms.queries import AlarmKey, find_open
from tmf_apis.rest.pipeline.owners import party_ids
from tmf_apis.rest.pipeline.policy import ApiModule, ResourcePolicy, has_changed
from tmf_apis.settings import Settings

__all__ = ["AlarmKey", "api_module", "find_open"]


def api_module(settings: Settings) -> ApiModule:  # noqa: ARG001
    """Return the API module: alarms, and the six kinds of tasks."""
    alarm = ResourcePolicy(
        lifecycle=rules.ALARM_LIFECYCLE,
        on_create=rules.on_create,
        on_change=rules.on_change,
        check=links.check_parents,
        exclusive=links.lock_name,
        after_commit=links.update_inverse_references,
        after_commit_if=has_changed("parentAlarm", "correlatedAlarm"),
        parties=party_ids,
        party_rules=rules.PARTY_RULES,
        state_attributes=frozenset({"state", "ackState"}),
    )
    tasks = {
        task_type.kind: ResourcePolicy(
            lifecycle=rules.TASK_LIFECYCLE,
            server_owned=frozenset({task_type.result_attribute, "failure"}),
            on_create=rules.on_create_task,
            handle=partial(actions.start_task, task_type),
            run_in_background=partial(actions.complete_task, task_type),
            parties=party_ids,
            party_rules=rules.TASK_PARTY_RULES,
        )
        for task_type in actions.ALARM_TASKS
    }
    return ApiModule(number="TMF642", policies={"Alarm": alarm, **tasks}, models=model.MODELS)
