"""Compiled list requests are kept for the next request."""

import pytest

from tmf_apis.errors import InvalidQuery
from tmf_apis.rest.query.list_query import ListQueryCompiler
from tmf_apis.settings import Settings

PARAMETERS = [("fields", "name"), ("lifecycleStatus", "Active"), ("limit", "5")]


@pytest.fixture
def compiler(contracts):
    return ListQueryCompiler(contracts["TMF620", "v5"], Settings())


@pytest.fixture
def operations(contracts):
    return {
        operation.kind: operation
        for operation in contracts["TMF620", "v5"].operations
        if operation.action == "list"
    }


def test_an_equal_list_request_is_compiled_once(compiler, operations):
    query = compiler.parse(operations["ProductOffering"], PARAMETERS)
    assert compiler.parse(operations["ProductOffering"], list(PARAMETERS)) is query
    others = [*PARAMETERS[:2], ("limit", "6")]
    assert compiler.parse(operations["ProductOffering"], others) != query
    assert compiler.parse(operations["ProductSpecification"], PARAMETERS) is not query


def test_new_extensions_compile_list_requests_again(compiler, operations):
    query = compiler.parse(operations["ProductOffering"], PARAMETERS)
    compiler.set_extensions({})
    assert compiler.parse(operations["ProductOffering"], PARAMETERS) is not query


def test_a_refused_list_request_is_refused_again(compiler, operations):
    for _ in range(2):
        with pytest.raises(InvalidQuery):
            compiler.parse(operations["ProductOffering"], [("limit", "x")])


def test_long_list_requests_are_not_kept(compiler, operations):
    parameters = [("name", "x" * 300)]
    query = compiler.parse(operations["ProductOffering"], parameters)
    assert compiler.parse(operations["ProductOffering"], parameters) is not query
