"""NETCONF servers that differ in form: white space, logins, datastores and address notations."""

import re

import paramiko
import pytest
from lxml import etree

from adapters.errors import Misconfigured, PartiallyApplied, Rejected
from adapters.testing import provide
from adapters.values import Intent
from tests.adapters.netconf import test_hostile_server
from tests.adapters.netconf.test_hostile_server import BASE, HELLO, HostileServer, error, reply_to

pytestmark = pytest.mark.anyio
LAB = "urn:x-tmf-lab:access"
RUNNING_HELLO = HELLO.replace("candidate:1.0", "writable-running:1.0")
INTERFACES = "urn:ietf:params:xml:ns:yang:ietf-interfaces"
PORTS = "".join(
    f"<interface><name>sub{n}</name><oper-status>up</oper-status></interface>" for n in (1, 2)
)
INTERFACES_STATE = f'<interfaces-state xmlns="{INTERFACES}">{PORTS}</interfaces-state>'


class Datastore:
    """A server whose running configuration is edited directly."""

    def __init__(self):
        self.services, self.requests = {}, []
        self.locked = False
        self.fails_after = None

    def __call__(self, request):
        (operation,) = etree.fromstring(request.encode())
        name = etree.QName(operation).localname
        self.requests.append(name)
        if name in {"lock", "unlock"}:
            assert self.target(operation) == "running"
            self.locked = name == "lock"
            return reply_to(request, "<ok/>")
        if name == "edit-config":
            assert self.locked
            assert self.target(operation) == "running"
            return self.edit(request, operation)
        if name in {"get", "get-config"}:
            entries = "".join(self.services.values())
            services = f'<services xmlns="{LAB}">{entries}</services>'
            data = services if name == "get-config" else INTERFACES_STATE
            return reply_to(request, f"<data>{data}</data>")
        return error(request, "operation-not-supported", message=f"no {name} here")

    @staticmethod
    def target(operation):
        return etree.QName(operation.find(f"{{{BASE}}}target")[0]).localname

    def edit(self, request, operation):
        for count, entry in enumerate(operation.iter(f"{{{LAB}}}service")):
            if count == self.fails_after:
                return error(request, "operation-failed", message="no more")
            id = entry.findtext(f"{{{LAB}}}id")
            if entry.get(f"{{{BASE}}}operation") == "remove":
                self.services.pop(id, None)
            else:
                text = etree.tostring(entry, encoding="unicode")
                self.services[id] = re.sub(r"<service[^>]*>", f'<service xmlns="{LAB}">', text)
        return reply_to(request, "<ok/>")


async def test_an_element_without_candidate_is_changed_in_its_running_configuration():
    datastore = Datastore()
    with HostileServer(datastore, RUNNING_HELLO) as server:
        async with server.element() as element:
            intent = Intent("s-1", "sub1", {"downstream": 10_000_000})
            plan = await element.plan(intent)
            transaction = await element.apply(plan, confirm_within=30)
            assert transaction.token == ""
            assert (await element.verify(intent)).good
            await element.confirm(transaction)
            await element.rollback(transaction)
            assert await element.services() == []
    assert not datastore.locked
    assert set(datastore.requests) <= {"get", "get-config", "lock", "unlock", "edit-config"}


async def test_a_refused_edit_of_the_running_configuration_is_partly_done_or_not():
    datastore = Datastore()
    with HostileServer(datastore, RUNNING_HELLO) as server:
        async with server.element() as element:
            await provide(element, Intent("s-1", "sub1", {"downstream": 10_000_000}))
            change = await element.plan(Intent("s-1", "sub1", present=False))
            replacement = await element.plan(Intent("s-1", "sub1", {"downstream": 20_000_000}))
            datastore.fails_after = 0
            with pytest.raises(Rejected, match="no more"):
                await element.apply(replacement)
            assert (await element.read("s-1")).settings["downstream"] == 10_000_000
            datastore.edit = lambda request, _: (
                datastore.services.clear() or error(request, "operation-failed", message="late")
            )
            with pytest.raises(PartiallyApplied, match="late") as caught:
                await element.apply(change)
            assert caught.value.transaction.done == change.steps


async def test_an_element_that_cannot_be_written_is_misconfigured():
    hello = HELLO.replace("candidate", "startup")
    with HostileServer(Datastore(), hello) as server:
        async with server.element() as element:
            with pytest.raises(Misconfigured, match="neither a candidate"):
                await element.services()


@pytest.mark.parametrize(
    "hello",
    [
        re.sub(r"(<capability>)(.*?)(</capability>)", r"\1\n    \2\n  \3", HELLO),
        '\n<?xml version="1.0" encoding="UTF-8"?>\n' + HELLO + "\n",
        HELLO.replace(">7<", ">\n 7 \n<"),
        HELLO.replace("<capabilities>", "<capabilities><capability/>"),
    ],
    ids=["capabilities", "declaration", "session-id", "empty capability"],
)  # fmt: skip
async def test_white_space_in_a_hello_has_no_meaning(hello):
    def answer(request):
        return '\n\n<?xml version="1.0"?>' + reply_to(request, "<data/>") + "\n"

    with HostileServer(answer, hello) as server:
        async with server.element() as element:
            assert await element.services() == []


class KeyboardInteractive(test_hostile_server.SshServer):
    """A server that asks for the password in a dialogue only."""

    prompts = (("User: ", True), ("Password: ", False))
    expected = ("tmf", "secret-word")

    def get_allowed_auths(self, username):
        return "keyboard-interactive"

    def check_auth_password(self, username, password):
        return paramiko.AUTH_FAILED

    def check_auth_interactive(self, username, submethods):
        return paramiko.InteractiveQuery("", "", *self.prompts)

    def check_auth_interactive_response(self, responses):
        is_right = tuple(responses) == self.expected
        return paramiko.AUTH_SUCCESSFUL if is_right else paramiko.AUTH_FAILED


@pytest.mark.parametrize("prompts", [1, 2])
async def test_a_password_is_given_in_a_dialogue_if_the_server_wants_one(monkeypatch, prompts):
    server = type(
        "Server",
        (KeyboardInteractive,),
        {
            "prompts": KeyboardInteractive.prompts[-prompts:],
            "expected": KeyboardInteractive.expected[-prompts:],
        },
    )
    monkeypatch.setattr(test_hostile_server, "SshServer", server)
    with HostileServer(lambda request: reply_to(request, "<data/>")) as hostile:
        async with hostile.element() as element:
            assert await element.services() == []


async def test_a_wrong_password_in_a_dialogue_is_rejected(monkeypatch):
    server = type("Server", (KeyboardInteractive,), {"expected": ("tmf", "another")})
    monkeypatch.setattr(test_hostile_server, "SshServer", server)
    with HostileServer(lambda request: reply_to(request, "<data/>")) as hostile:
        async with hostile.element() as element:
            with pytest.raises(Rejected, match="refuses the login"):
                await element.services()


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("<ip>192.0.2.1</ip><prefix-length>24</prefix-length>", "192.0.2.1/24"),
        ("<ip>192.0.2.1</ip><netmask>255.255.255.0</netmask>", "192.0.2.1/24"),
        ("<ip>192.0.2.1</ip><netmask> 255.255.255.252 </netmask>", "192.0.2.1/30"),
        ("<ip>192.0.2.1</ip>", "192.0.2.1"),
        ("<ip>192.0.2.1</ip><netmask>255.0.255.0</netmask>", "192.0.2.1/255.0.255.0"),
    ],
)
async def test_an_address_may_have_a_netmask(address, expected):
    ip = "urn:ietf:params:xml:ns:yang:ietf-ip"
    interface = (
        f'<interface><name>sub1</name><ipv4 xmlns="{ip}"><address>{address}</address></ipv4>'
        "</interface>"
    )
    data = f'<data><interfaces xmlns="{INTERFACES}">{interface}</interfaces></data>'
    with HostileServer(lambda request: reply_to(request, data)) as server:
        async with server.element() as element:
            (port,) = (await element.inventory()).ports
    assert port.addresses == (expected,)
