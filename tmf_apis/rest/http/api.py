"""A contract with the validators and compilers that are built from it."""

from dataclasses import dataclass

from tmf_apis.rest.contracts.body_defaults import BodyDefaults
from tmf_apis.rest.contracts.contract import Contract, Operation
from tmf_apis.rest.contracts.dates import DateNormalizer
from tmf_apis.rest.contracts.schemas import Schemas
from tmf_apis.rest.query.list_query import ListQueryCompiler


@dataclass(frozen=True, slots=True)
class Api:
    """A contract with the objects that are built from it at the start.

    Attributes:
        contract: The contract.
        schemas: Its validators.
        dates: The normalizer of its times.
        queries: Its query compiler.
        defaults: The additions to its bodies.
    """

    contract: Contract
    schemas: Schemas
    dates: DateNormalizer
    queries: ListQueryCompiler
    defaults: BodyDefaults

    def create_schema(self, operation: Operation) -> str | None:
        """Return the body schema of POST on an operation's path; None if there is no POST."""
        schemas = (
            candidate.body_schema
            for candidate in self.contract.operations
            if candidate.action == "create" and candidate.resource == operation.resource
        )
        return next(schemas, None)
