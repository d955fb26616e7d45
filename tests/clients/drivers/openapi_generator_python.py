"""Uses a client of openapi-generator (python): create, list, read, patch and delete.

Run by the tests in an environment of its own; the task (``tests/clients/tasks.py``) is the input.
"""

import importlib
import inspect
import json
import pkgutil
import re
import sys


def snake_case(name):
    return re.sub(r"(?<=[a-z0-9])([A-Z])", r"_\1", name).lower()


class Client:
    """The operations of a generated client by operationId."""

    def __init__(self, task):
        sys.path.insert(0, task["folder"])
        self._models = importlib.import_module(f"{task['package']}.models")
        package = importlib.import_module(task["package"])
        client = package.ApiClient(package.Configuration(host=task["url"]))
        self._methods = {}
        api = importlib.import_module(f"{task['package']}.api")
        for module in pkgutil.iter_modules(api.__path__):
            members = vars(importlib.import_module(f"{api.__name__}.{module.name}"))
            for name, value in members.items():
                if inspect.isclass(value) and name.endswith("Api"):
                    self._methods |= dict(inspect.getmembers(value(client), inspect.ismethod))

    def body(self, schema, value):
        return getattr(self._models, schema.replace("_", "")).from_dict(value)

    def call(self, operation, *arguments, **options):
        return self._methods[snake_case(operation)](*arguments, **options)

    def value(self, model):
        return json.loads(model.to_json())


if __name__ == "__main__":
    import steps

    steps.main(Client)
