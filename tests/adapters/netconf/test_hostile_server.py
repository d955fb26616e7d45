"""A NETCONF server that sends garbage, floods, falls silent or disconnects: the adapter fails."""

import asyncio
import re
import socket
import threading
from contextlib import suppress

import paramiko
import pytest

from adapters.credentials import Secret
from adapters.errors import Conflict, ElementError, Misconfigured, Rejected, Unreachable
from adapters.netconf import NetconfElement, transport
from adapters.netconf.identity import fingerprint, load_identity
from adapters.netconf.profile import DEFAULT_PROFILE, SHIPPED_FOLDER, load_profile
from adapters.netconf.services import ServiceList
from adapters.profile_folder import FOLDER_VARIABLE as PROFILES_DIR
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
    + "".join(f"<capability>{uri}</capability>" for uri in CAPABILITIES)
    + "</capabilities><session-id>7</session-id></hello>"
)
NESTED_ENTITIES = "".join(
    f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' if n else '<!ENTITY l0 "ha">' for n in range(9)
)


class SshServer(paramiko.ServerInterface):
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


class HostileServer:
    """An SSH server on loopback whose messages a test defines.

    Args:
        answer: Returns the reply to a request; None closes the session.
        hello: The hello message.
    """

    def __init__(self, answer, hello=HELLO):
        self._answer, self._hello = answer, hello
        self.key = paramiko.ECDSAKey.generate()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open = []
        self._thread = threading.Thread(target=self._accept)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(10)
        for thread, ssh in self._open:
            ssh.close()
            thread.join(10)

    def element(self, **options):
        port = self._listener.getsockname()[1]
        defaults = {"hostKey": fingerprint(self.key.asbytes()), "timeout": "20", "idle": "0"}
        target = Target("gw-1", f"127.0.0.1:{port}", "netconf", options={**defaults, **options})
        return NetconfElement(target, Secret({"user": "tmf", "password": "secret-word"}))

    def _accept(self):
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            transport = paramiko.Transport(connection)
            transport.add_server_key(self.key)
            thread = threading.Thread(target=self._serve, args=(transport,))
            self._open.append((thread, transport))
            thread.start()

    def _serve(self, transport):
        server = SshServer()
        with suppress(paramiko.SSHException, EOFError, OSError):
            transport.start_server(server=server)
            channel = transport.accept(20)
            if channel is None or not server.subsystem.wait(20):
                return
            channel.sendall(self._hello.encode() + END)
            rest = b""
            while chunk := channel.recv(65536):
                *requests, rest = (rest + chunk).split(END)
                for request in requests:
                    if b"<hello" in request:
                        continue
                    reply = self._answer(request.decode())
                    if reply is None:
                        channel.close()
                        return
                    channel.sendall(reply.encode() + END)


def reply_to(request, content):
    message_id = re.search(r'message-id="([^"]+)"', request)[1]
    return f'<rpc-reply xmlns="{BASE}" message-id="{message_id}">{content}</rpc-reply>'


def error(request, tag, **more):
    parts = "".join(f"<error-{name}>{text}</error-{name}>" for name, text in more.items())
    return reply_to(request, f"<rpc-error><error-tag>{tag}</error-tag>{parts}</rpc-error>")


async def outcome(answer, hello=HELLO):
    """Return the error of the adapter for the answers of a server."""
    with HostileServer(answer, hello) as hostile:
        async with hostile.element() as element:
            with pytest.raises(ElementError) as caught:
                await element.services()
    return caught.value


async def test_entities_are_not_expanded():
    def answer(request):
        document = reply_to(request, "<data><a>&l8;</a></data>")
        return f"<!DOCTYPE rpc-reply [{NESTED_ENTITIES}]>{document}"

    failure = await outcome(answer)
    assert isinstance(failure, Unreachable)
    assert "the session was lost" in failure.message


async def test_external_entities_are_not_loaded():
    def answer(request):
        document_type = '<!DOCTYPE rpc-reply [<!ENTITY f SYSTEM "file:///etc/passwd">]>'
        return document_type + error(request, "operation-failed", message="&f;")

    failure = await outcome(answer)
    assert "root:" not in str(failure)
    assert "document type" in failure.message


async def test_a_hello_with_entities_is_refused():
    hello = f"<!DOCTYPE hello [{NESTED_ENTITIES}]>" + HELLO.replace(">7<", ">&l8;<")
    assert isinstance(await outcome(lambda request: None, hello), Unreachable)


async def test_an_endless_message_ends_the_session(monkeypatch):
    monkeypatch.setattr(transport, "MESSAGE_LIMIT", 300_000)
    failure = await outcome(lambda request: reply_to(request, f"<data>{'x' * 400_000}</data>"))
    assert isinstance(failure, Unreachable)
    assert "lost" in failure.message


async def test_the_limit_is_for_one_message(monkeypatch):
    monkeypatch.setattr(transport, "MESSAGE_LIMIT", 300_000)
    with HostileServer(
        lambda request: reply_to(request, f"<data><!--{'x' * 200_000}--></data>")
    ) as hostile:
        async with hostile.element() as element:
            assert await element.services() == []


@pytest.mark.parametrize(
    "hello",
    [
        "",
        "<hello",
        "<html/>",
        *(HELLO.replace(">7<", f">{id}<") for id in ("seven", "", " ", "7.5", "-", "\u0667")),
        HELLO.replace("<session-id>7</session-id>", ""),
        HELLO.replace("<session-id>7</session-id>", "<session-id><x/></session-id>"),
    ],
)
async def test_an_invalid_hello_is_unreachable(hello):
    assert isinstance(await outcome(lambda request: None, hello), Unreachable)


async def test_a_server_without_candidate_is_misconfigured():
    failure = await outcome(lambda request: None, HELLO.replace("candidate", "startup"))
    assert isinstance(failure, Misconfigured)
    assert "candidate" in failure.message


async def test_a_reply_with_another_message_id_is_refused():
    failure = await outcome(
        lambda request: f'<rpc-reply xmlns="{BASE}" message-id="1"><data/></rpc-reply>'
    )
    assert "message-id" in failure.message


async def test_a_lost_connection_ends_a_request_before_its_timeout():
    failure = await outcome(lambda request: None)
    assert isinstance(failure, Unreachable)
    assert "the session was lost" in failure.message


async def test_after_a_timeout_a_new_session_is_opened():
    requests, timed_out = [], threading.Event()

    def answer(request):
        requests.append(request)
        if len(requests) == 1:
            timed_out.wait(60)
        return reply_to(request, "<data/>")

    with HostileServer(answer) as hostile:
        async with hostile.element(timeout="2") as element:
            with pytest.raises(Unreachable, match="no reply within 2 s"):
                await element.services()
            timed_out.set()
            assert await element.services() == []


async def test_the_reply_to_a_cancelled_request_is_not_given_to_the_next():
    received, cancelled = threading.Event(), threading.Event()

    def answer(request):
        received.set()
        cancelled.wait(60)
        return reply_to(request, "<data/>")

    with HostileServer(answer) as hostile:
        async with hostile.element() as element:
            request = asyncio.create_task(element.services())
            assert await asyncio.to_thread(received.wait, 60)
            request.cancel()
            with pytest.raises(asyncio.CancelledError):
                await request
            cancelled.set()
            assert await element.services() == []


async def test_an_invalid_service_list_is_rejected():
    service = '<services xmlns="urn:x-tmf-lab:access"><service><id>a</id>{}</service></services>'

    def answer(request):
        return reply_to(request, f"<data>{service.format('')}</data>")

    failure = await outcome(answer)
    assert isinstance(failure, Rejected)
    assert (failure.element, failure.reason) == ("gw-1", "ambiguous")


async def test_a_leaf_of_the_wrong_type_is_returned_as_text():
    services = (
        '<services xmlns="urn:x-tmf-lab:access"><service><id>a</id><port>sub1</port>'
        "<downstream>1e999999</downstream><upstream>NaN</upstream><enabled>maybe</enabled>"
        "</service></services>"
    )
    with HostileServer(lambda request: reply_to(request, f"<data>{services}</data>")) as hostile:
        async with hostile.element() as element:
            (service,) = await element.services()
    assert service.settings["upstream"] == "NaN"
    assert service.settings["enabled"] == "maybe"


async def test_warnings_are_ignored():
    with HostileServer(
        lambda request: reply_to(
            request,
            "<data/><rpc-error><error-tag>operation-failed</error-tag>"
            "<error-severity>warning</error-severity></rpc-error>",
        )
    ) as hostile:
        async with hostile.element() as element:
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
async def test_an_error_tag_selects_the_error(tag, expected):
    failure = await outcome(lambda request: error(request, tag, message="m" * 10_000))
    assert type(failure) is expected
    assert len(failure.message) <= 500


async def test_a_missing_or_silent_server_is_unreachable():
    secret = Secret({"user": "tmf", "password": "secret-word"})
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        options = {"timeout": "0.5", "hostKey": "SHA256:x"}
        async with NetconfElement(Target("mute", address, options=options), secret) as element:
            with pytest.raises(Unreachable):
                await element.probe()
    async with NetconfElement(Target("gone", address, options=options), secret) as element:
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
async def test_invalid_options_are_misconfigured(options):
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
async def test_invalid_credentials_are_misconfigured_and_not_disclosed(secret):
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
async def test_an_invalid_profile_is_refused(tmp_path, old, new):
    text = (SHIPPED_FOLDER / f"{DEFAULT_PROFILE}.json").read_text("utf-8")
    assert old in text
    (tmp_path / "broken.json").write_text(text.replace(old, new), "utf-8")
    with pytest.raises(ValueError, match=r"broken\.json is not a profile"):
        load_profile("broken", {PROFILES_DIR: str(tmp_path)})


async def test_a_profile_may_have_nested_leaves_and_its_own_words(tmp_path):
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
    removal = services.config_edit("1/1", {"tag": "s-1"}, [step.inverse for step in steps])
    assert 'operation="remove"' in removal
    assert "down" not in removal
