"""The values of adapters are unchanged after a step of a durable workflow has stored them."""

from datetime import UTC, datetime

import pytest
from temporalio.converter import DataConverter

from adapters.testing import premium
from adapters.values import Intent, Plan, Step, Target, Transaction, Verdict

pytestmark = pytest.mark.anyio
PREMIUM = premium("sub1")
STEPS = (Step("sub1", "tag", "", "s"), Step("sub1", "enabled", before=True, after=False))
NOW = datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=UTC)


@pytest.mark.parametrize(
    "value",
    [
        Plan("gw", PREMIUM, STEPS, {"tag": "", "downstream": 0, "enabled": True}),
        Transaction("gw", PREMIUM, (Step("sub1", "downstream", 0, 1000),)),
        Target("gw", "127.0.0.1:161", options={"timeout": "1"}),
        Intent("service-1", "sub1", {"enabled": False, "vlan": 1, "msisdn": "491700000000"}),
        Verdict("gw", {"tag": "s", "enabled": True}, {"enabled": False}, NOW),
    ],
)
async def test_values_survive_between_the_steps_of_a_workflow(value):
    payloads = await DataConverter.default.encode([value])
    assert await DataConverter.default.decode(payloads, [type(value)]) == [value]
