"""The API over TLS: from certificate files that are read before anything listens, and again when they change."""

import http.client
import json
import socket
import ssl
import time
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from command_line import otel_duckdb
from otel_duckdb.monitor import discovery
from otel_duckdb.monitor.client import ask


def write_certificate(folder, name="monitor.example", password=None):
    """A certificate that is signed by itself, and its key, in two files."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    locked = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    written = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, locked)
    (folder / "cert.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(written)
    return {"tls_certificate": str(folder / "cert.pem"), "tls_key": str(folder / "key.pem")}


@pytest.fixture
def files(tmp_path):
    return write_certificate(tmp_path)


def connect(api, files, name="monitor.example", **versions):
    context = ssl.create_default_context(cafile=files["tls_certificate"])
    for version, value in versions.items():
        setattr(context, version, value)
    raw = socket.create_connection(("127.0.0.1", api.port), timeout=10)
    return context.wrap_socket(raw, server_hostname=name)


def exchange(connection, path="/api/status", host="localhost", method="GET", body=b"", **headers):
    told = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    length = f"Content-Length: {len(body)}\r\n" if body else ""
    connection.sendall(f"{method} {path} HTTP/1.1\r\nHost: {host}\r\n{told}{length}\r\n".encode() + body)
    response = http.client.HTTPResponse(connection, method=method)
    response.begin()
    return response, response.read()


def test_all_is_answered_over_tls_and_nothing_without(serve, files):
    api = serve(**files)
    assert api.monitor.address == f"https://127.0.0.1:{api.port}/"
    with connect(api, files) as connection:
        assert connection.version() == "TLSv1.3"
        response, body = exchange(connection)
        assert (response.status, "summary" in json.loads(body)) == (200, True)
        assert connection.recv(1) == b""  # it ends as TLS ends, and not as if it were cut off
    assert b"HTTP" not in api.raw(b"GET /api/status HTTP/1.1\r\nHost: localhost\r\n\r\n")
    with connect(api, files) as connection:
        assert exchange(connection, host="evil.example")[0].status == 421


def test_bodies_and_answers_longer_than_a_record_of_tls_come_whole(serve, files):
    api = serve(**files)
    shown = {"X_Monitoring_Key": api.token, "Content_Type": "application/json"}
    with connect(api, files) as connection:
        body = b'{"dry_run": true, "x": "' + b"x" * 60_000 + b'"}'
        assert exchange(connection, "/api/cleanup", method="POST", body=body, **shown)[0].status == 200
    with connect(api, files) as connection:
        response, body = exchange(connection, "/vendor/uPlot.iife.min.js")
        assert (response.status, len(body)) == (200, int(response.headers["Content-Length"]))


def test_events_come_over_tls(serve, files):
    api = serve(**files)
    with connect(api, files) as connection:
        connection.sendall(b"GET /api/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
        response = http.client.HTTPResponse(connection)
        response.begin()
        lines = [response.readline() for _ in range(20)]
        assert lines[0] == b"retry: 3000\n"
        assert lines.count(b"event: sample\n") >= 2


def test_old_versions_of_tls_are_refused(serve, files):
    api = serve(**files)
    old = ssl.TLSVersion.TLSv1_1
    with pytest.warns(DeprecationWarning, match="TLSv1"), pytest.raises(OSError):  # noqa: PT011 - reset, or an alert
        connect(api, files, minimum_version=ssl.TLSVersion.TLSv1, maximum_version=old)
    with connect(api, files, maximum_version=ssl.TLSVersion.TLSv1_2) as connection:
        assert exchange(connection)[0].status == 200


def test_the_session_of_a_page_over_tls_is_secure(serve, files):
    api = serve(api_key="a key", **files)
    with connect(api, files) as connection:
        body = b'{"key": "a key"}'
        response, _ = exchange(connection, "/api/login", method="POST", body=body, Content_Type="application/json")
        assert response.headers["Set-Cookie"].endswith("; Secure")


def test_a_renewed_certificate_is_served_at_once_and_a_broken_one_never(serve, files, tmp_path, caplog):
    api = serve(**files)
    with connect(api, files) as connection:
        first = connection.getpeercert(binary_form=True)
    (tmp_path / "cert.pem").write_text("half a file")
    for _ in range(3):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        with context.wrap_socket(socket.create_connection(("127.0.0.1", api.port), timeout=10)) as connection:
            assert connection.getpeercert(binary_form=True) == first
    assert caplog.text.count("the certificate from before is used on") == 1
    write_certificate(tmp_path, "renewed.example")
    with connect(api, files, "renewed.example") as connection:
        assert connection.getpeercert(binary_form=True) != first
        assert exchange(connection)[0].status == 200


def test_the_command_line_finds_a_monitor_under_tls_and_trusts_no_other(serve, files, tmp_path):
    api = serve(**files)
    [found] = discovery.running()
    assert ask(found, "/api/status")["monitor"]["port"] == api.port
    assert otel_duckdb("status", "--token").stdout == f"{api.token}\n"
    write_certificate(tmp_path)
    assert ask(found, "/healthz") == {"status": "ok"}


def _missing(folder, _files):
    return {"tls_certificate": str(folder / "none.pem")}, "none.pem cannot be read: No such file or directory"


def _no_pem(folder, files):
    (folder / "cert.pem").write_text("no certificate")
    return files, "cert.pem and "


def _other_key(folder, files):
    (folder / "other").mkdir()
    return {**files, "tls_key": write_certificate(folder / "other")["tls_key"]}, "KEY_VALUES_MISMATCH"


def _locked(folder, _files):
    return write_certificate(folder, password=b"secret"), "the key is locked by a password; give one without"


def _folder(folder, _files):
    return {"tls_certificate": str(folder)}, "cannot be read: Is a directory"


def _key_alone(_folder, files):
    return {"tls_key": files["tls_key"]}, "TLS_KEY names a key, and OTEL_DUCKDB_MONITOR_TLS_CERTIFICATE nothing"


@pytest.mark.parametrize("spoil", [_missing, _no_pem, _other_key, _locked, _folder, _key_alone])
def test_a_bad_certificate_is_told_in_one_line_and_nothing_listens(serve, files, tmp_path, caplog, spoil):
    options, reason = spoil(tmp_path, files)
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    api = serve(port=port, **options)
    assert api.port is None
    assert reason in caplog.text
    [record] = caplog.records
    assert "\n" not in record.getMessage()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))


def test_who_is_slow_in_the_handshake_or_sends_no_tls_takes_nothing_from_others(serve, files, monkeypatch):
    api = serve(**files)
    held = [socket.create_connection(("127.0.0.1", api.port)) for _ in range(80)]
    try:
        for number, one in enumerate(held):
            try:
                one.sendall(b"\x16\x03\x01\x02\x00\x01" if number % 2 else bytes(1000))
            except OSError:
                continue  # its place was taken already
        began = time.monotonic()
        with connect(api, files) as connection:
            assert exchange(connection)[0].status == 200
        assert time.monotonic() - began < 20
    finally:
        for one in held:
            one.close()


def test_a_client_that_leaves_in_the_middle_disturbs_nothing(serve, files, caplog):
    api = serve(**files)
    for _ in range(5):
        connection = connect(api, files)
        connection.sendall(b"GET /api/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
        connection.recv(100)
        connection.close()
    time.sleep(0.3)
    with connect(api, files) as connection:
        assert exchange(connection)[0].status == 200
    assert not caplog.records
