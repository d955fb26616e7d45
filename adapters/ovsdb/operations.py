"""The operations of the transaction that changes a port; pure, no I/O.

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
    """Return the operations that bring a port to its desired state.

    The transaction has the conditions that the port is unchanged, the changes, and the increment
    of ``next_cfg``, upon which the switch applies the configuration.
    """
    current = switch.state(port)
    where = [["_uuid", "==", ["uuid", row_uuid(port)]]]
    changed = {name: value for name, value in target.items() if current[name] != value}
    operations = _conditions(switch, port, target)
    row: Row = {"tag": target["vlan"] or EMPTY_SET} if "vlan" in changed else {}
    row = {**row, **_blocking_columns(port, target)}
    if "downstream" in changed:
        shaper_operations, columns = _shaper_changes(switch, port, int(target["downstream"]))
        operations += shaper_operations
        row = {**row, **columns}
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
    if service_id := target["tag"]:  # no other port has the service
        has_service = ["external_ids", "includes", _ovsdb_map({SERVICE_KEY: service_id})]
        conditions.append(
            {
                "op": "wait",
                "table": "Port",
                "where": [has_service, ["name", "!=", port["name"]]],
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
    blocked = target["parked"] if not target["tag"] else not target["enabled"]
    if blocked == is_blocked(port):
        return {}
    if blocked:
        return {"vlan_mode": "trunk", "trunks": RESERVED_VLAN}
    return {"vlan_mode": EMPTY_SET, "trunks": EMPTY_SET}


def _shaper_changes(switch: SwitchSnapshot, port: Row, rate: int) -> tuple[list[Operation], Row]:
    """Return the operations that set the rate of a port, and the changed columns of its row.

    A QoS that was not created by this adapter is removed from the port, but not deleted. Those of
    this adapter are deleted together with their queues.
    """
    shaper = switch.shaper(port)
    config = _ovsdb_map({"max-rate": str(rate)})
    if rate and shaper is not None and _is_ours(shaper, port) and shaper["type"] == SHAPER_TYPE:
        rows = [("QoS", row_uuid(shaper))] + [("Queue", id) for id in _queue_ids(shaper)]
        return [
            {
                "op": "update",
                "table": table,
                "where": [["_uuid", "==", ["uuid", id]]],
                "row": {"other_config": config},
            }
            for table, id in rows
        ], {}
    owner = _ovsdb_map({PORT_KEY: port["name"]})
    operations: list[Operation] = [
        {"op": "delete", "table": table, "where": [["external_ids", "includes", owner]]}
        for table in ("QoS", "Queue")
    ]
    if not rate:
        return operations, {"qos": EMPTY_SET}
    queue = {"other_config": config, "external_ids": owner}
    qos = {
        "type": SHAPER_TYPE,
        "other_config": config,
        "queues": ["map", [[0, ["named-uuid", "queue"]]]],
        "external_ids": owner,
    }
    operations += [
        {"op": "insert", "table": "Queue", "row": queue, "uuid-name": "queue"},
        {"op": "insert", "table": "QoS", "row": qos, "uuid-name": "shaper"},
    ]
    return operations, {"qos": ["named-uuid", "shaper"]}


def _is_ours(shaper: Row, port: Row) -> bool:
    return bool(map_items(shaper.get("external_ids")).get(PORT_KEY) == port["name"])


def _queue_ids(shaper: Row) -> list[str]:
    return [str(set_members(queue)[0]) for queue in map_items(shaper.get("queues")).values()]


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
