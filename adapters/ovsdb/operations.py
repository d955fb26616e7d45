"""From how a port is and how it shall be to one transaction of the database: pure, no I/O.

Source: RFC 7047, section 5.2 (operations).
"""

from typing import Any

from adapters.ovsdb.rows import (
    KBIT,
    PORT_COLUMNS,
    PORT_KEY,
    RESERVED_VLAN,
    SERVICE_KEY,
    SHAPER_TYPE,
    Row,
    SwitchSnapshot,
    is_blocked,
    map_items,
    row_uuid,
    set_members,
)
from adapters.planning import State

Operation = dict[str, Any]
EMPTY_SET = ["set", []]


def port_operations(switch: SwitchSnapshot, port: Row, target: State) -> list[Operation]:
    """Return what makes a port as it shall be, if it still is as it was read.

    Everything is one transaction: the conditions first, the change, and the request to the
    switch to take it over.
    """
    current = switch.state(port)
    where = [["_uuid", "==", ["uuid", row_uuid(port)]]]
    changed = {name: value for name, value in target.items() if current[name] != value}
    operations = _conditions(switch, port, target)
    row: Row = {"tag": target["vlan"] or EMPTY_SET} if "vlan" in changed else {}
    row = {**row, **_blocking_columns(port, target)}
    if "downstream" in changed:
        made, limit = _shaper_changes(switch, port, int(target["downstream"]))
        operations += made
        row = {**row, **limit}
    if row:
        operations.append({"op": "update", "table": "Port", "where": where, "row": row})
    if "upstream" in changed:
        operations.append(_policing_operation(port, int(target["upstream"])))
    if "tag" in changed:
        operations.append(_service_operation(where, str(target["tag"])))
    operations.append(
        {
            "op": "mutate",
            "table": "Open_vSwitch",
            "where": [],
            "mutations": [["next_cfg", "+=", 1]],
        }
    )
    return operations


def _conditions(switch: SwitchSnapshot, port: Row, target: State) -> list[Operation]:
    conditions = [_unchanged_condition("Port", port, PORT_COLUMNS)]
    if (shaper := switch.shaper(port)) is not None:
        conditions.append(_unchanged_condition("QoS", shaper, ("type", "other_config", "queues")))
    if name := target["tag"]:
        elsewhere = [["external_ids", "includes", _ovsdb_map({SERVICE_KEY: name})]]
        conditions.append(
            {
                "op": "wait",
                "table": "Port",
                "where": [*elsewhere, ["name", "!=", port["name"]]],
                "columns": ["name"],
                "until": "==",
                "rows": [],
                "timeout": 0,
            }
        )
    return conditions


def _unchanged_condition(table: str, row: Row, columns: tuple[str, ...]) -> Operation:
    return {
        "op": "wait",
        "table": table,
        "where": [["_uuid", "==", ["uuid", row_uuid(row)]]],
        "columns": list(columns),
        "until": "==",
        "rows": [{column: row[column] for column in columns}],
        "timeout": 0,
    }


def _blocking_columns(port: Row, target: State) -> Row:
    shut = target["parked"] if not target["tag"] else not target["enabled"]
    if shut == is_blocked(port):
        return {}
    if shut:
        return {"vlan_mode": "trunk", "trunks": RESERVED_VLAN}
    return {"vlan_mode": EMPTY_SET, "trunks": EMPTY_SET}


def _shaper_changes(switch: SwitchSnapshot, port: Row, rate: int) -> tuple[list[Operation], Row]:
    """Return what gives a port another rate, and what changes in its row.

    A QoS that somebody else has made is left to them, off the port; ours goes when it is needed
    no more, its queue with it.
    """
    shaper = switch.shaper(port)
    config = _ovsdb_map({"max-rate": str(rate)})
    if rate and shaper is not None and _is_ours(shaper, port) and shaper["type"] == SHAPER_TYPE:
        rows = [("QoS", row_uuid(shaper))] + [("Queue", one) for one in _queue_ids(shaper)]
        return [
            {
                "op": "update",
                "table": table,
                "where": [["_uuid", "==", ["uuid", id]]],
                "row": {"other_config": config},
            }
            for table, id in rows
        ], {}
    mark = _ovsdb_map({PORT_KEY: port["name"]})
    operations: list[Operation] = [
        {"op": "delete", "table": table, "where": [["external_ids", "includes", mark]]}
        for table in ("QoS", "Queue")
    ]
    if not rate:
        return operations, {"qos": EMPTY_SET}
    queue = {"other_config": config, "external_ids": mark}
    queues = ["map", [[0, ["named-uuid", "queue"]]]]
    made = {"type": SHAPER_TYPE, "other_config": config, "queues": queues, "external_ids": mark}
    operations += [
        {"op": "insert", "table": "Queue", "row": queue, "uuid-name": "queue"},
        {"op": "insert", "table": "QoS", "row": made, "uuid-name": "shaper"},
    ]
    return operations, {"qos": ["named-uuid", "shaper"]}


def _is_ours(shaper: Row, port: Row) -> bool:
    return bool(map_items(shaper.get("external_ids")).get(PORT_KEY) == port["name"])


def _queue_ids(shaper: Row) -> list[str]:
    return [str(set_members(one)[0]) for one in map_items(shaper.get("queues")).values()]


def _policing_operation(port: Row, rate: int) -> Operation:
    return {
        "op": "update",
        "table": "Interface",
        "where": [["_uuid", "==", ["uuid", set_members(port["interfaces"])[0]]]],
        "row": {"ingress_policing_rate": rate // KBIT},
    }


def _service_operation(where: list[Any], service_id: str) -> Operation:
    mutations: list[Any] = [["external_ids", "delete", ["set", [SERVICE_KEY]]]]
    if service_id:
        mutations.append(["external_ids", "insert", _ovsdb_map({SERVICE_KEY: service_id})])
    return {"op": "mutate", "table": "Port", "where": where, "mutations": mutations}


def _ovsdb_map(content: dict[str, Any]) -> list[Any]:
    return ["map", [[name, value] for name, value in content.items()]]
