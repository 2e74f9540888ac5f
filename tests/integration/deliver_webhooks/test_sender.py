"""One attempt against real servers: good ones, slow ones, broken ones, and those that lead us astray."""

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from functions.deliver_webhooks import sender as sender_module
from functions.deliver_webhooks.sender import MAX_BODY_BYTES, AttemptResult, HttpSender
from orders.webhooks.resolver import HostNotFound, SystemResolver
from orders.webhooks.states import DeliveryError
from tests.support.webhooks import PUBLIC_ADDRESS, FakeResolver, customer_server

LOOPBACK = "127.0.0.1"
NAME = "shop.example.com"
HEADERS = {"Content-Type": "application/json", "webhook-id": "event-1"}
BODY = '{"a":1}'
PATIENCE_SECONDS = 5.0

Conversation = Callable[[socket.socket], object]


@pytest.fixture
def resolver() -> FakeResolver:
    """Every name that a test uses leads to this machine, as a stage may allow."""
    return FakeResolver.of({LOOPBACK: [LOOPBACK], NAME: [LOOPBACK]})


@pytest.fixture
def sender(resolver: FakeResolver) -> HttpSender:
    return HttpSender(resolver, ssl.create_default_context, allow_loopback=True)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Half a second instead of ten."""
    monkeypatch.setattr(sender_module, "TOTAL_SECONDS", 0.5)
    monkeypatch.setattr(sender_module, "CONNECT_SECONDS", 0.3)
    monkeypatch.setattr(sender_module, "BODY_SECONDS", 0.2)


@contextmanager
def raw_server(talk: Conversation, tls: ssl.SSLContext | None = None) -> Iterator[int]:
    """A server that says what a test wants, on the port that this answers. It ends with the block."""
    listener = socket.create_server((LOOPBACK, 0))

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                try:
                    secured = tls.wrap_socket(connection, server_side=True) if tls else connection
                    talk(secured)
                    secured.close()
                except OSError:
                    continue

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield int(listener.getsockname()[1])
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(PATIENCE_SECONDS)
        assert not thread.is_alive(), "a server of this test has not ended"


def answering(text: bytes, drip: bytes = b"") -> Conversation:
    """Takes the request, says something, and then goes on a byte at a time until nobody listens."""

    def talk(connection: socket.socket) -> None:
        # To its end: who closes a connection that has more to read takes back what it has said.
        request = b""
        while not request.endswith(BODY.encode()) and (more := connection.recv(65536)):
            request += more
        connection.sendall(text)
        if drip:
            for _ in range(1000):
                connection.sendall(drip)
                time.sleep(0.02)

    return talk


def send(sender: HttpSender, port: int, host: str = LOOPBACK, scheme: str = "http") -> AttemptResult:
    return sender.send(f"{scheme}://{host}:{port}/hooks?shop=1", BODY, HEADERS)


def test_a_request_arrives_whole(sender: HttpSender) -> None:
    with customer_server(200) as server:
        assert sender.send(server.url, '{"name":"é"}', HEADERS) == AttemptResult(200, None)

    (received,) = server.received
    assert received.path == "/hooks?shop=1"
    assert received.body == '{"name":"é"}'
    assert received.headers["host"] == f"{LOOPBACK}:{server.port}"
    assert received.headers["content-type"] == "application/json"
    assert received.headers["webhook-id"] == "event-1"


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_any_2xx_is_a_success(sender: HttpSender, status: int) -> None:
    with customer_server(status) as server:
        assert send(sender, server.port) == AttemptResult(status, None)


@pytest.mark.parametrize("status", [400, 401, 404, 429, 500, 503])
def test_anything_else_is_a_failure(sender: HttpSender, status: int) -> None:
    with customer_server(status) as server:
        assert send(sender, server.port) == AttemptResult(status, DeliveryError.HTTP_STATUS)


def test_gone_is_told_apart(sender: HttpSender) -> None:
    with customer_server(410) as server:
        assert send(sender, server.port) == AttemptResult(410, DeliveryError.GONE)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(sender: HttpSender, status: int) -> None:
    with (
        customer_server(200) as elsewhere,
        customer_server(status, headers={"Location": elsewhere.url}) as server,
    ):
        assert send(sender, server.port) == AttemptResult(status, DeliveryError.REDIRECTED)

    assert elsewhere.received == []


EARLY_HINTS = b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n"
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
PROCESSING = b"HTTP/1.1 102 Processing\r\n\r\n"


class TestInterimResponses:
    """What comes before the final response is not the response (RFC 9110, section 15.2)."""

    @pytest.mark.parametrize(
        "interim",
        [
            EARLY_HINTS,
            CONTINUE,
            PROCESSING,
            b"HTTP/1.1 110 Something\r\nX: y\r\n\r\n",
            b"HTTP/1.1 199\r\n\r\n",
            EARLY_HINTS * 5,
            CONTINUE + PROCESSING + EARLY_HINTS + CONTINUE + EARLY_HINTS,
        ],
        ids=["103", "100", "102", "110", "199", "several", "mixed"],
    )
    @pytest.mark.parametrize(
        ("final", "result"),
        [
            (b"HTTP/1.1 204 No Content\r\n\r\n", AttemptResult(204, None)),
            (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", AttemptResult(200, None)),
            (b"HTTP/1.1 500 Oh\r\n\r\n", AttemptResult(500, DeliveryError.HTTP_STATUS)),
            (b"HTTP/1.1 410 Gone\r\n\r\n", AttemptResult(410, DeliveryError.GONE)),
        ],
        ids=["204", "200", "500", "410"],
    )
    def test_are_skipped(
        self, sender: HttpSender, interim: bytes, final: bytes, result: AttemptResult
    ) -> None:
        with raw_server(answering(interim + final)) as port:
            assert send(sender, port) == result

    @pytest.mark.parametrize("interim", [EARLY_HINTS, CONTINUE, PROCESSING], ids=["103", "100", "102"])
    def test_without_end_are_no_response(self, sender: HttpSender, interim: bytes) -> None:
        with raw_server(answering(interim * 10_000)) as port:
            begun = time.monotonic()
            assert send(sender, port) == AttemptResult(None, DeliveryError.BROKEN_ANSWER)
            assert time.monotonic() - begun < PATIENCE_SECONDS

    def test_alone_are_no_response(self, sender: HttpSender) -> None:
        with raw_server(answering(EARLY_HINTS)) as port:
            assert send(sender, port) == AttemptResult(None, DeliveryError.BROKEN_ANSWER)

    def test_a_change_of_protocol_that_nobody_asked_for_is_a_failure(self, sender: HttpSender) -> None:
        with raw_server(answering(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n")) as port:
            assert send(sender, port) == AttemptResult(101, DeliveryError.HTTP_STATUS)


@pytest.mark.parametrize("status", [429, 503, 413, 500, 307])
def test_a_failing_server_may_say_when_to_come_back(sender: HttpSender, status: int) -> None:
    with customer_server(status, headers={"Retry-After": "120"}) as server:
        assert send(sender, server.port).retry_after == 120


@pytest.mark.parametrize("status", [200, 204, 202])
def test_a_server_that_took_it_need_not_be_left_alone(sender: HttpSender, status: int) -> None:
    with customer_server(status, headers={"Retry-After": "120"}) as server:
        assert send(sender, server.port) == AttemptResult(status, None)


class TestTime:
    pytestmark = pytest.mark.usefixtures("impatient")

    @pytest.mark.parametrize(
        "talk",
        [
            answering(b"", drip=b""),
            answering(b"", drip=b"H"),
            answering(b"HTTP/1.1 200 OK\r\n", drip=b"x"),
            answering(b"HTTP/1.1 200 OK\r\nX-Slow: ", drip=b"x"),
            answering(CONTINUE, drip=CONTINUE),
            answering(EARLY_HINTS, drip=EARLY_HINTS),
        ],
        ids=[
            "nothing",
            "a slow status",
            "a slow header",
            "a slow value",
            "continue for ever",
            "hints for ever",
        ],
    )
    def test_a_server_that_does_not_come_to_the_point_is_left(
        self, sender: HttpSender, talk: Conversation
    ) -> None:
        silent = threading.Event()

        def and_wait(connection: socket.socket) -> None:
            talk(connection)
            silent.wait(2)

        with raw_server(and_wait) as port:
            begun = time.monotonic()
            answer = send(sender, port)
            took = time.monotonic() - begun
            silent.set()

        assert answer == AttemptResult(None, DeliveryError.TIMEOUT)
        assert took < 1.5

    def test_a_slow_body_is_cut_and_changes_nothing(self, sender: HttpSender) -> None:
        with raw_server(answering(b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n", drip=b"x")) as port:
            begun = time.monotonic()
            assert send(sender, port) == AttemptResult(200, None)
            assert time.monotonic() - begun < 1.5

    def test_a_handshake_that_does_not_end_is_left(self, sender: HttpSender) -> None:
        silent = threading.Event()
        with raw_server(lambda connection: silent.wait(2)) as port:
            begun = time.monotonic()
            answer = send(sender, port, scheme="https")
            took = time.monotonic() - begun
            silent.set()

        assert answer == AttemptResult(None, DeliveryError.TIMEOUT)
        assert took < 1.5

    def test_a_name_server_that_does_not_answer_is_left(self, monkeypatch: pytest.MonkeyPatch) -> None:
        answers = threading.Event()

        def slow(*asked: object, **more: object) -> list[object]:
            answers.wait(5)
            return []

        monkeypatch.setattr(socket, "getaddrinfo", slow)
        begun = time.monotonic()
        with pytest.raises(HostNotFound):
            SystemResolver().resolve(NAME, 443, timeout_seconds=0.1)
        assert time.monotonic() - begun < 1
        answers.set()


def test_a_large_body_is_cut(sender: HttpSender) -> None:
    taken: list[int] = []

    def pour(connection: socket.socket) -> None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 999999999\r\n\r\n")
        try:
            while True:
                taken.append(connection.send(b"x" * 4096))
        except OSError:
            return

    with raw_server(pour) as port:
        begun = time.monotonic()
        assert send(sender, port) == AttemptResult(200, None)
        assert time.monotonic() - begun < PATIENCE_SECONDS

    # What buffers on the way hold was sent, but not read.
    assert sum(taken) < 1000 * MAX_BODY_BYTES


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"HTTP/1.1 abc\r\n\r\n",
        b"HTTP/1.1 20\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 1000 + b"\r\n",
        b"HTTP/1.1 200 " + b"x" * 100_000 + b"\r\n\r\n",
        bytes(range(256)) * 10,
    ],
    ids=["nothing", "SSH", "no status", "half a status", "many headers", "a long line", "noise"],
)
def test_what_is_no_http_is_a_failure(sender: HttpSender, text: bytes) -> None:
    with raw_server(answering(text)) as port:
        answer = send(sender, port)

    assert answer.status is None
    assert answer.error is DeliveryError.BROKEN_ANSWER


@pytest.mark.parametrize(
    "text",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
    ],
)
def test_a_broken_body_does_not_unsay_the_status(sender: HttpSender, text: bytes) -> None:
    with raw_server(answering(text)) as port:
        assert send(sender, port) == AttemptResult(200, None)


def test_where_nobody_listens_is_a_failure(sender: HttpSender) -> None:
    with socket.create_server((LOOPBACK, 0)) as listener:
        port = listener.getsockname()[1]

    assert send(sender, port) == AttemptResult(None, DeliveryError.CONNECTION_FAILED)


def test_a_second_address_is_tried_where_the_first_does_not_answer(
    sender: HttpSender, resolver: FakeResolver
) -> None:
    resolver.names["two.example.com"] = [["127.0.0.2", LOOPBACK]]
    with customer_server(200) as server:
        assert send(sender, server.port, host="two.example.com") == AttemptResult(200, None)


class TestForgery:
    """A request that a customer has us send to where they could not send it themselves."""

    @pytest.fixture
    def strict(self, resolver: FakeResolver) -> HttpSender:
        """As in dev and prod."""
        return HttpSender(resolver, ssl.create_default_context, allow_loopback=False)

    @pytest.mark.parametrize(
        "addresses",
        [
            [LOOPBACK],
            ["::1"],
            ["10.0.0.1"],
            ["169.254.169.254"],
            ["fd00:ec2::254"],
            ["100.64.0.1"],
            ["::ffff:127.0.0.1"],
            ["0.0.0.0"],
            [PUBLIC_ADDRESS, LOOPBACK],
        ],
        ids=str,
    )
    def test_a_name_that_leads_inside_by_now_is_not_called(
        self,
        strict: HttpSender,
        resolver: FakeResolver,
        monkeypatch: pytest.MonkeyPatch,
        addresses: Sequence[str],
    ) -> None:
        connections: list[object] = []
        monkeypatch.setattr(socket, "create_connection", lambda *where, **how: connections.append(where))
        resolver.names[NAME] = [addresses]

        answer = strict.send(f"https://{NAME}/", "{}", HEADERS)

        # The same as for a name that does not exist: its owner must not learn which names there are inside.
        assert answer == AttemptResult(None, DeliveryError.HOST_NOT_FOUND)
        assert connections == []

    @pytest.mark.parametrize(
        "url", ["http://127.0.0.1/", "https://127.0.0.1/", "https://[::1]/", "https://shop.example.com:22/"]
    )
    def test_a_url_that_must_not_be_there_is_not_called(
        self, strict: HttpSender, resolver: FakeResolver, url: str
    ) -> None:
        resolver.names["::1"] = [["::1"]]

        assert strict.send(url, "{}", HEADERS) == AttemptResult(None, DeliveryError.HOST_NOT_FOUND)

    def test_the_connection_goes_to_the_address_that_was_checked(
        self, sender: HttpSender, resolver: FakeResolver
    ) -> None:
        """A name that leads elsewhere with the second look is looked up once."""
        resolver.names["rebinding.example.com"] = [[LOOPBACK], ["10.0.0.1"]]
        with customer_server(200) as server:
            assert send(sender, server.port, host="rebinding.example.com") == AttemptResult(200, None)

        assert resolver.asked == ["rebinding.example.com"]
        assert server.received[0].headers["host"] == f"rebinding.example.com:{server.port}"

    def test_an_unknown_name_is_a_failure(self, strict: HttpSender) -> None:
        answer = strict.send("https://unknown.example.com/", "{}", HEADERS)

        assert answer == AttemptResult(None, DeliveryError.HOST_NOT_FOUND)


class TestCertificates:
    """The address was checked and not the name: the certificate is held against the name."""

    @pytest.fixture
    def authority(self, tmp_path: Path) -> "Authority":
        return Authority(tmp_path)

    def test_a_trusted_certificate_for_the_name_is_accepted(
        self, resolver: FakeResolver, authority: "Authority"
    ) -> None:
        sender = HttpSender(resolver, authority.trusted, allow_loopback=True)
        said = answering(b"HTTP/1.1 204 No Content\r\n\r\n")
        with raw_server(said, authority.server(NAME)) as port:
            assert send(sender, port, NAME, "https") == AttemptResult(204, None)

    def test_one_for_another_name_is_not(self, resolver: FakeResolver, authority: "Authority") -> None:
        sender = HttpSender(resolver, authority.trusted, allow_loopback=True)
        with raw_server(answering(b""), authority.server("other.example.com")) as port:
            assert send(sender, port, NAME, "https") == AttemptResult(None, DeliveryError.TLS_FAILED)

    def test_nor_is_one_that_nobody_vouches_for(self, sender: HttpSender, authority: "Authority") -> None:
        with raw_server(answering(b""), authority.server(NAME)) as port:
            assert send(sender, port, NAME, "https") == AttemptResult(None, DeliveryError.TLS_FAILED)

    def test_a_server_that_speaks_no_tls_is_a_failure(self, sender: HttpSender) -> None:
        def talk(connection: socket.socket) -> None:
            connection.recv(65536)
            connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        with raw_server(talk) as port:
            assert send(sender, port, NAME, "https") == AttemptResult(None, DeliveryError.TLS_FAILED)


class Authority:
    """A certificate authority of this test's own, and certificates by it."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Tests")])
        self._certificate = self._issue(self._name, self._key, authority=True)

    def trusted(self) -> ssl.SSLContext:
        """A client that trusts it."""
        pem = self._certificate.public_bytes(serialization.Encoding.PEM).decode()
        return ssl.create_default_context(cadata=pem)

    def server(self, name: str) -> ssl.SSLContext:
        """A server with a certificate for the name."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        certificate = self._issue(subject, key, name=name)
        chain = self._directory / f"{name}.pem"
        chain.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
            + certificate.public_bytes(serialization.Encoding.PEM)
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(chain)
        return context

    def _issue(
        self,
        subject: x509.Name,
        key: ec.EllipticCurvePrivateKey,
        name: str | None = None,
        *,
        authority: bool = False,
    ) -> x509.Certificate:
        now = datetime.now(UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(hours=1))
            .not_valid_after(now + timedelta(hours=1))
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False
            )
        )
        if name is not None:
            builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        return builder.sign(self._key, hashes.SHA256())
