"""From how a port is and how it shall be to one transaction of the database: pure, no I/O.

Source: RFC 7047, section 5.2 (operations).
"""

from typing import Any

from adapters.ovsdb.rows import (
    KBIT,
    MADE_FOR,
    NOWHERE,
    PORT_COLUMNS,
    SERVICE,
    SHAPER,
    Row,
    Switch,
    locked,
    members,
    pairs,
    uuid,
)
from adapters.planning import State

Operation = dict[str, Any]
NOTHING = ["set", []]


def of(switch: Switch, port: Row, target: State) -> list[Operation]:
    """Return what makes a port as it shall be, if it still is as it was read.

    Everything is one transaction: the conditions first, the change, and the request to the
    switch to take it over.
    """
    current = switch.state(port)
    where = [["_uuid", "==", ["uuid", uuid(port)]]]
    changed = {name: value for name, value in target.items() if current[name] != value}
    operations = _conditions(switch, port, target)
    row: Row = {"tag": target["vlan"] or NOTHING} if "vlan" in changed else {}
    row = {**row, **_lock(port, target)}
    if "downstream" in changed:
        made, limit = _limit(switch, port, int(target["downstream"]))
        operations += made
        row = {**row, **limit}
    if row:
        operations.append({"op": "update", "table": "Port", "where": where, "row": row})
    if "upstream" in changed:
        operations.append(_police(port, int(target["upstream"])))
    if "tag" in changed:
        operations.append(_name(where, str(target["tag"])))
    operations.append(
        {
            "op": "mutate",
            "table": "Open_vSwitch",
            "where": [],
            "mutations": [["next_cfg", "+=", 1]],
        }
    )
    return operations


def _conditions(switch: Switch, port: Row, target: State) -> list[Operation]:
    conditions = [_unchanged("Port", port, PORT_COLUMNS)]
    if (shaper := switch.shaper(port)) is not None:
        conditions.append(_unchanged("QoS", shaper, ("type", "other_config", "queues")))
    if name := target["tag"]:
        elsewhere = [["external_ids", "includes", _map({SERVICE: name})]]
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


def _unchanged(table: str, row: Row, columns: tuple[str, ...]) -> Operation:
    return {
        "op": "wait",
        "table": table,
        "where": [["_uuid", "==", ["uuid", uuid(row)]]],
        "columns": list(columns),
        "until": "==",
        "rows": [{column: row[column] for column in columns}],
        "timeout": 0,
    }


def _lock(port: Row, target: State) -> Row:
    shut = target["parked"] if not target["tag"] else not target["enabled"]
    if shut == locked(port):
        return {}
    if shut:
        return {"vlan_mode": "trunk", "trunks": NOWHERE}
    return {"vlan_mode": NOTHING, "trunks": NOTHING}


def _limit(switch: Switch, port: Row, rate: int) -> tuple[list[Operation], Row]:
    """Return what gives a port another rate, and what changes in its row.

    A QoS that somebody else has made is left to them, off the port; ours goes when it is needed
    no more, its queue with it.
    """
    shaper = switch.shaper(port)
    config = _map({"max-rate": str(rate)})
    if rate and shaper is not None and _ours(shaper, port) and shaper["type"] == SHAPER:
        rows = [("QoS", uuid(shaper))] + [("Queue", one) for one in _queues(shaper)]
        return [
            {
                "op": "update",
                "table": table,
                "where": [["_uuid", "==", ["uuid", id]]],
                "row": {"other_config": config},
            }
            for table, id in rows
        ], {}
    mark = _map({MADE_FOR: port["name"]})
    operations: list[Operation] = [
        {"op": "delete", "table": table, "where": [["external_ids", "includes", mark]]}
        for table in ("QoS", "Queue")
    ]
    if not rate:
        return operations, {"qos": NOTHING}
    queue = {"other_config": config, "external_ids": mark}
    queues = ["map", [[0, ["named-uuid", "queue"]]]]
    made = {"type": SHAPER, "other_config": config, "queues": queues, "external_ids": mark}
    operations += [
        {"op": "insert", "table": "Queue", "row": queue, "uuid-name": "queue"},
        {"op": "insert", "table": "QoS", "row": made, "uuid-name": "shaper"},
    ]
    return operations, {"qos": ["named-uuid", "shaper"]}


def _ours(shaper: Row, port: Row) -> bool:
    return bool(pairs(shaper.get("external_ids")).get(MADE_FOR) == port["name"])


def _queues(shaper: Row) -> list[str]:
    return [str(members(one)[0]) for one in pairs(shaper.get("queues")).values()]


def _police(port: Row, rate: int) -> Operation:
    return {
        "op": "update",
        "table": "Interface",
        "where": [["_uuid", "==", ["uuid", members(port["interfaces"])[0]]]],
        "row": {"ingress_policing_rate": rate // KBIT},
    }


def _name(where: list[Any], name: str) -> Operation:
    mutations: list[Any] = [["external_ids", "delete", ["set", [SERVICE]]]]
    if name:
        mutations.append(["external_ids", "insert", _map({SERVICE: name})])
    return {"op": "mutate", "table": "Port", "where": where, "mutations": mutations}


def _map(content: dict[str, Any]) -> list[Any]:
    return ["map", [[name, value] for name, value in content.items()]]
