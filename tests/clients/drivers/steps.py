"""The steps of a task with the client of a generator; prints one line of JSON for each resource."""

import json
import sys


def run(client, step):
    """Create, list, read, change and delete a resource, as far as the API has the operation.

    Raises:
        AssertionError: An answer lacks something that was sent.
    """
    operations, done = step["operations"], []
    id = None
    if "create" in operations:
        model = client.body(step["create_schema"], step["body"])
        created = client.value(client.call(operations["create"], model))
        id = created["id"]
        assert_contains(created, step["expected"])
        done.append("create")
    if "list" in operations:
        items = [client.value(item) for item in client.call(operations["list"], limit=100)]
        assert items, "the list is empty"
        id = id or items[0]["id"]
        done.append("list")
    if "retrieve" in operations:
        read = client.value(client.call(operations["retrieve"], id))
        assert read["id"] == id
        assert_contains(read, step["expected"])
        done.append("read")
    if "patch" in operations and step["patch"]:
        change = client.body(step["patch_schema"], step["patch"])
        changed = client.value(client.call(operations["patch"], id, change))
        assert_contains(changed, step["patch"])
        done.append("patch")
    if "delete" in operations and step["delete"]:
        client.call(operations["delete"], id)
        done.append("delete")
    return done


def assert_contains(value, expected):
    for name, part in expected.items():
        assert value.get(name) == part, f"{name}: {value.get(name)!r} is not {part!r}"


def main(make_client):
    task = json.load(sys.stdin)
    client = make_client(task)
    for step in task["steps"]:
        try:
            answer = {"done": run(client, step)}
        except Exception as error:  # noqa: BLE001 - every failure of a client is a result
            answer = {"error": f"{type(error).__name__}: {error}"[:2000]}
        print(json.dumps({"resource": step["resource"], **answer}), flush=True)  # noqa: T201
