"""From an order and the catalogue to what the network has to do; no database, no Temporal."""

import pytest

from tmf_apis.fulfilment import ports
from tmf_apis.fulfilment.errand_planning import Catalogue, plan
from tmf_apis.fulfilment.values import OrderKey, Refused, Use

KEY = OrderKey("default", "o-1")


def specification(**values):
    return {
        "id": "access",
        "productSpecCharacteristic": [
            {
                "name": name,
                "characteristicValueSpecification": [
                    one if isinstance(one, dict) else {"value": one}
                    for one in (value if isinstance(value, list) else [value])
                ],
            }
            for name, value in values.items()
        ],
    }


ACCESS = specification(serviceType="broadband", downstreamSpeed=[100, 1000], upstreamSpeed=50)


def offering(id="fibre", *, use=None, parts=(), of="access"):
    made = {"id": id, "productSpecification": {"id": of}} if of else {"id": id}
    if use:
        made["prodSpecCharValueUse"] = [
            {"name": name, "productSpecCharacteristicValue": [{"value": value}]}
            for name, value in use.items()
        ]
    return {**made, "bundledProductOffering": [{"id": part} for part in parts]}


FIBRE = offering()


def item(action="add", *, of="fibre", id="1", product=None, **chosen):
    made = {"id": id, "action": action}
    if of:
        made["productOffering"] = {"id": of}
    if chosen or product:
        made["product"] = {
            **({"id": product} if product else {}),
            "productCharacteristic": [{"name": n, "value": v} for n, v in chosen.items()],
        }
    return made


def planned(*items, offerings=(FIBRE,), specifications=(ACCESS,), services=()):
    return plan(
        KEY,
        {"id": "o-1", "productOrderItem": list(items)},
        Catalogue(
            {one["id"]: one for one in offerings},
            {one["id"]: one for one in specifications},
            frozenset(services),
        ),
    )


def test_speeds_come_from_the_catalogue_in_bits_per_second():
    errand = planned(item()).errands[0]
    assert (errand.downstream, errand.upstream) == (100_000_000, 50_000_000)
    assert (errand.service, errand.holder, errand.action) == ("o-1-1", "o-1/1", "add")


def test_an_offering_narrows_what_its_specification_allows():
    fast = offering(use={"downstreamSpeed": 1000})
    assert planned(item(), offerings=[fast]).errands[0].downstream == 10**9


def test_an_order_chooses_among_what_is_allowed():
    assert planned(item(downstreamSpeed="1000")).errands[0].downstream == 10**9
    work = planned(item(downstreamSpeed=2000))
    assert "has no downstreamSpeed 2000; allowed: 100, 1000 Mbit/s" in work.refused["1"]


def test_the_default_is_taken_where_the_order_does_not_choose():
    speeds = [{"value": 100}, {"value": 1, "unitOfMeasure": "Gbit/s", "isDefault": True}]
    described = specification(serviceType="broadband", downstreamSpeed=speeds, upstreamSpeed=10)
    assert planned(item(), specifications=[described]).errands[0].downstream == 10**9


@pytest.mark.parametrize("value", ["fast", -1, 0, "NaN", "1e400", None, "0.0000001"])
def test_a_speed_that_is_none_is_refused(value):
    described = specification(serviceType="broadband", downstreamSpeed=value, upstreamSpeed=10)
    assert "is no speed" in planned(item(), specifications=[described]).refused["1"]


def test_an_access_without_a_speed_is_refused():
    described = specification(serviceType="broadband", downstreamSpeed=100)
    assert (
        "does not say its upstreamSpeed" in planned(item(), specifications=[described]).refused["1"]
    )


def test_what_has_no_service_type_needs_nothing():
    assert planned(item(), specifications=[specification(colour="red")]).plain == ("1",)
    assert planned(item(), offerings=[offering(of="")]).plain == ("1",)
    assert planned(item("noChange")).plain == ("1",)


def test_another_service_type_is_refused_and_named():
    described = specification(serviceType="satellite")
    assert "satellite" in planned(item(), specifications=[described]).refused["1"]


def test_an_order_for_nothing_of_ours_is_left_alone():
    assert planned(item(of="elsewhere")).nothing
    assert planned(item(of=None)).nothing


def test_beside_an_item_of_ours_an_unknown_one_is_refused():
    work = planned(item(), item(of="elsewhere", id="2"), item(of=None, id="3"))
    assert [errand.item for errand in work.errands] == ["1"]
    assert set(work.refused) == {"2", "3"}


def test_a_bundle_is_fulfilled_through_the_access_inside_it():
    bundle = offering("bundle", parts=["fibre", "router"], of="")
    router = offering("router", of="")
    work = planned(item(of="bundle"), offerings=[bundle, offering(), router])
    assert work.errands[0].downstream == 10**8


def test_only_the_innermost_items_are_worked_on():
    outer = {**item(of="bundle", id="0"), "productOrderItem": [item(), item(of="router", id="2")]}
    work = planned(
        outer, offerings=[offering("bundle", of=""), offering(), offering("router", of="")]
    )
    assert ([one.item for one in work.errands], work.plain) == (["1"], ("2",))


def test_items_that_are_finished_are_left_out():
    assert planned({**item(), "state": "completed"}, item(id="2")).errands[0].item == "2"


def test_a_change_needs_a_service_that_runs():
    assert "no service s-1 is in operation" in planned(item("modify", product="s-1")).refused["1"]
    errand = planned(item("modify", product="s-1"), services=["s-1"]).errands[0]
    assert (errand.action, errand.service) == ("modify", "s-1")


def test_an_end_needs_nothing_but_the_product():
    errand = planned(item("delete", of=None, product="s-1"), services=["s-1"]).errands[0]
    assert (errand.service, errand.downstream) == ("s-1", 0)


def test_an_item_for_several_accesses_is_refused():
    assert "several items" in planned({**item(), "quantity": 2}).refused["1"]


def test_a_long_item_id_still_makes_a_tag_that_fits_on_a_port():
    first, second = (planned(item(id="x" * 200)).errands[0].service for _ in range(2))
    assert first == second
    assert len(first) <= 60


def free():
    return {"id": "p", "name": "gw sub1", "usageState": "idle", "operationalState": "enabled"}


def test_a_port_is_reserved_once_and_by_the_same_item_again():
    port = ports.reserved(free(), "o-1/1", "")
    assert ports.reserved(port, "o-1/1", "") == port
    assert not ports.is_free(port)
    with pytest.raises(Refused, match="reserved for order item o-1/1"):
        ports.reserved(port, "o-2/1", "")


def test_a_port_goes_from_free_to_use_and_back_to_how_it_was():
    use = Use("s-1", 100_000_000, 2_500_000, "o-1/1")
    used = ports.in_use(ports.reserved(free(), "o-1/1", ""), use)
    assert ports.use_of(used) == use
    assert (used["usageState"], used["allocationStatus"]) == ("active", "allocated")
    released = ports.in_use(used, Use())
    assert ports.is_free(released)
    assert "resourceCharacteristic" not in released


def test_what_others_wrote_on_a_port_stays():
    own = {"@type": "ExternalIdentifier", "id": "x", "owner": "gis"}
    port = {**free(), "externalIdentifier": [own], "resourceCharacteristic": [{"name": "colour"}]}
    back = ports.in_use(ports.in_use(port, Use("s-1", 1, 1)), Use())
    assert back["externalIdentifier"] == [own]
    assert back["resourceCharacteristic"] == [{"name": "colour"}]


def test_a_dark_port_keeps_its_service_and_is_not_in_use():
    port = ports.in_use({**free(), "operationalState": "disabled"}, Use("s-1", 1, 1))
    assert port["usageState"] == "idle"
    assert ports.usage({**port, "operationalState": "enabled"}) == "active"


def test_a_port_in_doubt_is_given_to_nobody():
    port = ports.in_doubt(ports.reserved(free(), "o-1/1", ""), "o-1/1", "no answer")
    assert not ports.is_free(port)
    with pytest.raises(Refused, match="in doubt"):
        ports.reserved(port, "o-2/1", "")
    assert ports.in_doubt(port, "o-1/1", "no answer") == port


def test_a_locked_port_is_not_to_be_had():
    with pytest.raises(Refused, match="locked"):
        ports.reserved({**free(), "administrativeState": "locked"}, "o-1/1", "")
