"""Uses the SDK ``tmforum``: create, list, read, patch and delete with its classes.

Run by the tests in an environment of its own; the task (``tests/clients/tasks.py``) is the input.
"""

import json
import logging

import tmforum

logging.disable(logging.CRITICAL)


class Client:
    """The classes of the SDK by operationId."""

    def __init__(self, task):
        self._context = tmforum.Context(api_base_url=task["root"], access_token="")
        self._context.headers = {"Content-Type": "application/json", "Accept": "application/json"}

    def body(self, schema, value):
        if schema.endswith("_MVO"):
            return value
        return getattr(tmforum, schema.removesuffix("_FVO")).from_dict(value)

    def call(self, operation, *arguments, **options):
        kind = operation.lstrip("abcdefghijklmnopqrstuvwxyz")
        verb, cls = operation.removesuffix(kind), getattr(tmforum, kind)
        if verb == "create":
            answer = arguments[0].create(self._context)
            if not isinstance(answer, cls):
                raise TypeError(f"the answer is {answer}")
            return answer
        if verb == "list":
            return cls.query_get(f"limit={options['limit']}", self._context)
        entity = cls.from_id(arguments[0], self._context)
        if verb == "patch":
            return entity.update(arguments[1], self._context)
        return entity.delete(self._context) if verb == "delete" else entity

    def value(self, model):
        return json.loads(model.to_json())


if __name__ == "__main__":
    import steps

    steps.main(Client)
