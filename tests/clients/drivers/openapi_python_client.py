"""Uses a client of openapi-python-client: create, list, read, patch and delete.

Run by the tests in an environment of its own; the task (``tests/clients/tasks.py``) is the input.
"""

import importlib
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
        module = importlib.import_module(f"{task['package']}.client")
        self._client = module.Client(base_url=task["url"], raise_on_unexpected_status=True)
        api = importlib.import_module(f"{task['package']}.api")
        self._modules = {
            each.name.rpartition(".")[2]: each.name
            for each in pkgutil.walk_packages(api.__path__, f"{api.__name__}.")
        }

    def body(self, schema, value):
        return getattr(self._models, schema.replace("_", "")).from_dict(value)

    def call(self, operation, *arguments, **options):
        module = importlib.import_module(self._modules[snake_case(operation)])
        if arguments and not isinstance(arguments[-1], str):
            *arguments, options["body"] = arguments
        return module.sync(*arguments, client=self._client, **options)

    def value(self, model):
        return model.to_dict()


if __name__ == "__main__":
    import steps

    steps.main(Client)
