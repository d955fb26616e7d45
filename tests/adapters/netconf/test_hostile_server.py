"""A NETCONF server that lies, floods, falls silent or leaves: the adapter ends it, and says so."""

import asyncio
import re
import socket
import threading
import time
from contextlib import suppress

import paramiko
import pytest

from adapters.credentials import Secret
from adapters.errors import Conflict, ElementError, Misconfigured, Rejected, Unreachable
from adapters.netconf import NetconfElement, transport
from adapters.netconf.identity import fingerprint, load_identity
from adapters.netconf.profile import DEFAULT_PROFILE, SHIPPED_FOLDER, load_profile
from adapters.netconf.services import ServiceList
from adapters.snmp.profile_files import FOLDER_VARIABLE as PROFILES_DIR
from adapters.values import Step, Target

pytestmark = pytest.mark.anyio
BASE = "urn:ietf:params:xml:ns:netconf:base:1.0"
END = b"]]>]]>"
CAPABILITIES = (
    "urn:ietf:params:netconf:base:1.0",
    "urn:ietf:params:netconf:capability:candidate:1.0",
)
HELLO = (
    f'<hello xmlns="{BASE}"><capabilities>'
    + "".join(f"<capability>{one}</capability>" for one in CAPABILITIES)
    + "</capabilities><session-id>7</session-id></hello>"
)
LAUGHS = "".join(
    f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' if n else '<!ENTITY l0 "ha">' for n in range(9)
)


@pytest.fixture(scope="module")
def anyio_backend():
    return "asyncio"


class Entrance(paramiko.ServerInterface):
    def __init__(self):
        self.subsystem = threading.Event()

    def check_channel_request(self, kind, number):
        return paramiko.OPEN_SUCCEEDED

    def check_auth_password(self, username, password):
        return paramiko.AUTH_SUCCESSFUL

    def get_allowed_auths(self, username):
        return "password"

    def check_channel_subsystem_request(self, channel, name):
        self.subsystem.set()
        return True


class Liar:
    """An SSH server on loopback whose NETCONF is what a test says.

    Args:
        answer: Makes the reply of a request; None closes the session.
        hello: What it greets with.
    """

    def __init__(self, answer, hello=HELLO):
        self._answer, self._hello = answer, hello
        self.key = paramiko.ECDSAKey.generate()
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._open = []
        self._thread = threading.Thread(target=self._accept)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        with suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self._thread.join(10)
        for thread, transport in self._open:
            transport.close()
            thread.join(10)

    def element(self, **options):
        port = self._listening.getsockname()[1]
        known = {"hostKey": fingerprint(self.key.asbytes()), "timeout": "2", "idle": "0"}
        target = Target("liar", f"127.0.0.1:{port}", "netconf", options={**known, **options})
        return NetconfElement(target, Secret({"user": "tmf", "password": "secret-word"}))

    def _accept(self):
        while True:
            try:
                plain, _ = self._listening.accept()
            except OSError:
                return
            transport = paramiko.Transport(plain)
            transport.add_server_key(self.key)
            thread = threading.Thread(target=self._serve, args=(transport,))
            self._open.append((thread, transport))
            thread.start()

    def _serve(self, transport):
        entrance = Entrance()
        with suppress(paramiko.SSHException, EOFError, OSError):
            transport.start_server(server=entrance)
            channel = transport.accept(5)
            if channel is None or not entrance.subsystem.wait(5):
                return
            channel.sendall(self._hello.encode() + END)
            left = b""
            while piece := channel.recv(65536):
                *requests, left = (left + piece).split(END)
                for request in requests:
                    if b"<hello" in request:
                        continue
                    reply = self._answer(request.decode())
                    if reply is None:
                        channel.close()
                        return
                    channel.sendall(reply.encode() + END)


def data(request, inside):
    number = re.search(r'message-id="([^"]+)"', request)[1]
    return f'<rpc-reply xmlns="{BASE}" message-id="{number}">{inside}</rpc-reply>'


def error(request, tag, **more):
    parts = "".join(f"<error-{name}>{text}</error-{name}>" for name, text in more.items())
    return data(request, f"<rpc-error><error-tag>{tag}</error-tag>{parts}</rpc-error>")


async def outcome(answer, hello=HELLO):
    """What the adapter makes of a server's answers."""
    with Liar(answer, hello) as liar:
        async with liar.element() as element:
            with pytest.raises(ElementError) as caught:
                await element.services()
    return caught.value


async def test_entities_are_not_expanded():
    def answer(request):
        document = data(request, "<data><a>&l8;</a></data>")
        return f"<!DOCTYPE rpc-reply [{LAUGHS}]>{document}"

    began = time.monotonic()
    failure = await outcome(answer)
    assert isinstance(failure, Unreachable)
    assert time.monotonic() - began < 2


async def test_a_file_of_ours_is_not_read():
    def answer(request):
        kind = '<!DOCTYPE rpc-reply [<!ENTITY f SYSTEM "file:///etc/passwd">]>'
        return kind + error(request, "operation-failed", message="&f;")

    failure = await outcome(answer)
    assert "root:" not in str(failure)
    assert "document type" in failure.message


async def test_a_hello_with_entities_is_no_hello():
    evil = f"<!DOCTYPE hello [{LAUGHS}]>" + HELLO.replace(">7<", ">&l8;<")
    assert isinstance(await outcome(lambda request: None, evil), Unreachable)


async def test_a_message_without_an_end_is_cut_short(monkeypatch):
    monkeypatch.setattr(transport, "MESSAGE_LIMIT", 300_000)
    failure = await outcome(lambda request: data(request, f"<data>{'x' * 400_000}</data>"))
    assert isinstance(failure, Unreachable)
    assert "lost" in failure.message


async def test_many_messages_may_be_longer_than_one(monkeypatch):
    monkeypatch.setattr(transport, "MESSAGE_LIMIT", 300_000)
    with Liar(lambda request: data(request, f"<data><!--{'x' * 200_000}--></data>")) as liar:
        async with liar.element() as element:
            assert await element.services() == []


@pytest.mark.parametrize("hello", ["", "<hello", "<html/>", HELLO.replace(">7<", ">seven<")])
async def test_a_hello_that_is_none_is_unreachable(hello):
    assert isinstance(await outcome(lambda request: None, hello), Unreachable)


async def test_a_server_without_candidate_is_not_for_us():
    failure = await outcome(lambda request: None, HELLO.replace("candidate", "startup"))
    assert isinstance(failure, Misconfigured)
    assert "candidate" in failure.message


async def test_an_answer_to_another_question_is_none():
    failure = await outcome(
        lambda request: f'<rpc-reply xmlns="{BASE}" message-id="1"><data/></rpc-reply>'
    )
    assert "another question" in failure.message


async def test_a_server_that_leaves_is_noticed_at_once():
    began = time.monotonic()
    assert isinstance(await outcome(lambda request: None), Unreachable)
    assert time.monotonic() - began < 1.5


async def test_a_server_that_is_silent_is_given_up_and_a_new_session_opened():
    asked = []

    def answer(request):
        asked.append(request)
        if len(asked) == 1:
            time.sleep(2.5)
        return data(request, "<data/>")

    with Liar(answer) as liar:
        async with liar.element() as element:
            with pytest.raises(Unreachable, match="no reply within 2 s"):
                await element.services()
            assert await element.services() == []


async def test_who_is_cancelled_leaves_no_answer_to_the_next():
    def answer(request):
        time.sleep(0.5)
        return data(request, "<data/>")

    with Liar(answer) as liar:
        async with liar.element() as element:
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(element.services(), 0.6)
            assert await element.services() == []


async def test_garbage_in_the_list_is_rejected_and_names_the_element():
    service = '<services xmlns="urn:x-tmf-lab:access"><service><id>a</id>{}</service></services>'

    def answer(request):
        return data(request, f"<data>{service.format('')}</data>")

    failure = await outcome(answer)
    assert isinstance(failure, Rejected)
    assert (failure.element, failure.reason) == ("liar", "ambiguous")


async def test_a_leaf_that_is_not_what_it_should_be_is_shown_as_it_is():
    service = (
        '<services xmlns="urn:x-tmf-lab:access"><service><id>a</id><port>sub1</port>'
        "<downstream>1e999999</downstream><upstream>NaN</upstream><enabled>maybe</enabled>"
        "</service></services>"
    )
    with Liar(lambda request: data(request, f"<data>{service}</data>")) as liar:
        async with liar.element() as element:
            (found,) = await element.services()
    assert found.settings["upstream"] == "NaN"
    assert found.settings["enabled"] == "maybe"


async def test_warnings_are_no_errors():
    with Liar(
        lambda request: data(
            request,
            "<data/><rpc-error><error-tag>operation-failed</error-tag>"
            "<error-severity>warning</error-severity></rpc-error>",
        )
    ) as liar:
        async with liar.element() as element:
            assert await element.services() == []


@pytest.mark.parametrize(
    ("tag", "expected"),
    [
        ("lock-denied", Conflict),
        ("in-use", Conflict),
        ("data-exists", Conflict),
        ("access-denied", Rejected),
        ("", Rejected),
        ("operation-failed", Rejected),
    ],
)
async def test_what_an_error_tag_means(tag, expected):
    failure = await outcome(lambda request: error(request, tag, message="m" * 10_000))
    assert type(failure) is expected
    assert len(failure.message) <= 500


async def test_an_element_that_is_not_there_is_unreachable():
    secret = Secret({"user": "tmf", "password": "secret-word"})
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        place = f"127.0.0.1:{nobody.getsockname()[1]}"
        options = {"timeout": "0.5", "hostKey": "SHA256:x"}
        async with NetconfElement(Target("mute", place, options=options), secret) as element:
            with pytest.raises(Unreachable):
                await element.probe()
    async with NetconfElement(Target("gone", place, options=options), secret) as element:
        with pytest.raises(Unreachable, match=r"no answer from 127\.0\.0\.1"):
            await element.probe()


@pytest.mark.parametrize(
    "options",
    [
        {"shoeSize": "43"},
        {"timeout": "soon"},
        {"profile": "/no/such/file"},
        {"validate": "maybe"},
        {"hostKey": "ssh-ed25519 no-base64!"},
    ],
)
async def test_options_that_are_not_usable_are_misconfigured(options):
    with pytest.raises(Misconfigured):
        NetconfElement(Target("gw", "", options=options), Secret({"user": "a", "password": "b"}))


@pytest.mark.parametrize(
    "secret",
    [
        {},
        {"user": "a"},
        {"user": "a", "private_key": "no key"},
        {"community": "public"},
        {"user": "a", "key_file": "/no/such/file"},
    ],
)
async def test_credentials_that_are_not_usable_are_misconfigured(secret):
    with pytest.raises(Misconfigured) as caught:
        load_identity(Secret(secret), "", "gw")
    assert "no key" not in caught.value.message.replace("private key", "")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("acc:downstream", "nobody:downstream"),
        ('"kind": "integer"', '"kind": "colour"'),
        ('"absent": 0', '"absent": "0"'),
        ('"name": "upstream"', '"name": "downstream"'),
        ("sub[0-9]+", "sub[0-9"),
        ('"list"', '"lost"'),
        ("{", "["),
    ],
)
async def test_a_profile_that_is_none_says_so(tmp_path, old, new):
    text = (SHIPPED_FOLDER / f"{DEFAULT_PROFILE}.json").read_text("utf-8")
    assert old in text
    (tmp_path / "broken.json").write_text(text.replace(old, new), "utf-8")
    with pytest.raises(ValueError, match=r"broken\.json is not a profile"):
        load_profile("broken", {PROFILES_DIR: str(tmp_path)})


async def test_an_element_type_may_nest_its_leaves_and_have_words_of_its_own(tmp_path):
    (tmp_path / "olt.json").write_text(
        """{"name": "olt", "namespaces": {"o": "urn:olt", "q": "urn:qos"},
        "list": "o:access/o:line", "key": "o:service", "port": "o:port/o:name", "attributes": [
        {"name": "downstream", "leaf": "q:profile/q:down", "kind": "integer", "scale": 1000000,
         "absent": 0},
        {"name": "enabled", "leaf": "o:state", "kind": "boolean", "absent": true,
         "words": {"true": "unlocked", "false": "locked"}}]}""",
        "utf-8",
    )
    services = ServiceList("olt-1", load_profile("olt", {PROFILES_DIR: str(tmp_path)}))
    steps = [
        Step("1/1", "tag", "", "s-1"),
        Step("1/1", "downstream", 0, 50_000_000),
        Step("1/1", "enabled", before=True, after=False),
    ]
    config = services.config_edit("1/1", services.default_state("1/1"), steps)
    plain = re.sub(r' xmlns:\w+="[^"]+"|\w+:(?=\w+[ >])', "", config)
    assert "<port><name>1/1</name></port>" in plain
    assert "<profile><down>50</down></profile><state>locked</state>" in plain
    assert 'operation="create"' in config
    gone = services.config_edit("1/1", {"tag": "s-1"}, [step.inverse for step in steps])
    assert 'operation="remove"' in gone
    assert "down" not in gone
