"""The policies of all kinds, without a database."""

from functools import cache

from pymongo import MongoClient

from tests.support.contract_collections import CONTRACTS
from tmf_apis.api_modules import ModuleContext, make_api_modules
from tmf_apis.fulfilment.design.order_designer import OrderDesigner
from tmf_apis.rest.pipeline.policy import ResourcePolicy
from tmf_apis.security.outbound import OutboundPolicy
from tmf_apis.settings import Settings


@cache
def all_policies():
    """Return the policy of each kind that has one."""
    loopback = False
    context = ModuleContext(
        settings=Settings(),
        database=MongoClient(connect=False)["unused"],
        outbound_policy=OutboundPolicy(loopback, ()),
        apis={contract.base_path: contract for contract in CONTRACTS},
        designer=OrderDesigner(),
    )
    policies = {}
    for module in make_api_modules(context):
        policies |= module.policies
    return policies


def policy_of(kind):
    """Return the policy of a kind; the default one if it has none."""
    return all_policies().get(kind) or ResourcePolicy()
