"""What is listened on, for whom, and what must be there first: the address that was really taken decides."""

from __future__ import annotations

import http.client
import json
import socket
import ssl
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.dicom.phantoms import GRIDS, sample, write_nifti
from tests.serving import ROOT, config_for, live, token_of
from tumorseg.access.gate import Access
from tumorseg.access.types import Role
from tumorseg.access.users import Users
from tumorseg.errors import InputError
from tumorseg.server import tls
from tumorseg.server.exposure import is_exposed, listen
from tumorseg.server.run import welcome


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


needs_ipv6 = pytest.mark.skipif(not has_ipv6(), reason="this computer has no IPv6")


@pytest.fixture
def studies(tmp_path: Path) -> Path:
    write_nifti(tmp_path / "studies" / "case1.nii.gz", GRIDS["axial"], sample(GRIDS["axial"]))
    return tmp_path / "studies"


def pem(folder: Path, name: str, *, days: int = 30, passphrase: bytes | None = None) -> tuple[Path, Path]:
    """Write a certificate of this computer and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    cert = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=60))
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    hidden: Any = serialization.NoEncryption()
    if passphrase:
        hidden = serialization.BestAvailableEncryption(passphrase)
    cert_path, key_path = folder / f"{name}.pem", folder / f"{name}.key"
    cert_path.write_bytes(cert.public_bytes(serialization.Encoding.PEM))
    key_path.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, hidden))
    key_path.chmod(0o600)
    return cert_path, key_path


def test_a_taken_port_is_one_sentence() -> None:
    with listen("127.0.0.1", 0) as taken, pytest.raises(InputError, match="choose another"):
        listen("127.0.0.1", taken.getsockname()[1])


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.1.2.3",
        "localhost",
        pytest.param("::1", marks=needs_ipv6),
        pytest.param("[::1]", marks=needs_ipv6),
    ],
)
def test_addresses_of_this_computer_need_nothing(host: str) -> None:
    with listen(host, 0) as listener:
        assert not is_exposed(listener)


@pytest.mark.parametrize(
    "host", ["0.0.0.0", pytest.param("::", marks=needs_ipv6), pytest.param("::ffff:0.0.0.0", marks=needs_ipv6)]
)
def test_everything_else_does_however_it_is_written(host: str, studies: Path, tmp_path: Path) -> None:
    config = config_for(studies, tmp_path)
    with pytest.raises(InputError, match="tumorseg user add"):
        listen(host, 0, config)
    token_of(config.state)
    with pytest.raises(InputError, match="tls-cert"):
        listen(host, 0, config)
    with pytest.raises(InputError, match="auth off"):
        listen(host, 0, config_for(studies, tmp_path, auth="off"))
    for further in ({"insecure_http": "yes"}, {"behind_proxy": "10.0.0.1"}):
        with listen(host, 0, config_for(studies, tmp_path, **further)) as listener:
            assert is_exposed(listener)


@needs_ipv6
def test_an_ipv4_address_within_ipv6_is_what_it_is() -> None:
    with listen("::ffff:127.0.0.1", 0) as listener:
        assert not is_exposed(listener)


def test_people_who_may_not_come_in_do_not_count(studies: Path, tmp_path: Path) -> None:
    config = config_for(studies, tmp_path, insecure_http="yes")
    token_of(config.state, "ann", Role.VIEWER)
    Users(config.state).set_active("ann", False)
    with pytest.raises(InputError, match="tumorseg user add"):
        listen("0.0.0.0", 0, config)


def test_a_provider_is_enough(studies: Path, tmp_path: Path) -> None:
    conf = {"oidc_issuer": "https://idp.example.org", "oidc_audience": "tumorseg", "insecure_http": "yes"}
    listen("0.0.0.0", 0, config_for(studies, tmp_path, **conf)).close()


@pytest.mark.parametrize("host", ["no-such-host.invalid", "192.0.2.1", "a" * 70, ""])
def test_addresses_of_others_are_one_sentence(host: str, studies: Path, tmp_path: Path) -> None:
    config = config_for(studies, tmp_path, insecure_http="yes")
    token_of(config.state)
    with pytest.raises(InputError, match="cannot listen on"):
        listen(host, 0, config)


def test_the_command_refuses_with_exit_code_2_and_one_line(studies: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tumorseg", "serve", str(studies), "--host", "0.0.0.0", "--port", "0"]
    done = subprocess.run(
        [*command, "--state", str(tmp_path / "state")],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=120,
        check=False,
    )
    assert done.returncode == 2
    assert done.stdout == ""
    (line,) = done.stderr.strip().splitlines()
    assert "tumorseg user add" in line


def test_certificates_are_looked_at_first(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    cert, key = pem(tmp_path, "right")
    tls.check(cert, key)
    assert caplog.text == ""
    _, other = pem(tmp_path, "other")
    _, locked = pem(tmp_path, "locked", passphrase=b"secret")
    (tmp_path / "der.pem").write_bytes(b"\x30\x82binary")
    (tmp_path / "torn.pem").write_bytes(cert.read_bytes()[:120])
    for one, two, said in (
        (tmp_path / "none.pem", key, "cannot read"),
        (cert, tmp_path / "none.key", "cannot read"),
        (cert, other, "is not the key of"),
        (cert, locked, "without a passphrase"),
        (tmp_path / "der.pem", key, "PEM"),
        (tmp_path / "torn.pem", key, "cannot use"),
        (key, cert, "cannot use"),
    ):
        with pytest.raises(InputError, match=said):
            tls.check(one, two)
    tls.check(*pem(tmp_path, "old", days=-1))
    tls.check(*pem(tmp_path, "soon", days=3))
    key.chmod(0o644)
    tls.check(cert, key)
    assert [record.getMessage().split()[-1] for record in caplog.records][-1] == "600"
    assert "expired on" in caplog.text
    assert "expires on" in caplog.text


def test_what_is_printed_to_open(studies: Path, tmp_path: Path) -> None:
    config = config_for(studies, tmp_path)
    said = welcome(config, 8000, is_dicom=True, access=Access(config))
    assert "http://127.0.0.1:8000/ohif/" in said
    assert "without a sign-in" in said
    token_of(config.state, "ann")
    token_of(config.state, "bob")
    config = config_for(studies, tmp_path, host="0.0.0.0", insecure_http="yes")
    everyone = welcome(config, 8000, is_dicom=False, access=Access(config, exposed=True))
    assert "http://127.0.0.1:8000/docs" in everyone
    assert "sign-in required (2 users)" in everyone
    assert "WARNING" in everyone
    secure = config_for(studies, tmp_path, host="0.0.0.0", tls_cert="c.pem", tls_key="c.key")
    said = welcome(secure, 8000, is_dicom=False, access=Access(secure, exposed=True))
    assert "https://127.0.0.1:8000" in said
    assert "WARNING" not in said


def ask(
    address: str, path: str = "/info/", headers: dict[str, str] | None = None, cert: Path | None = None
) -> tuple[int, Any]:
    """Ask a live server; an https one must have this certificate."""
    scheme, _, host = address.partition("://")
    if scheme == "https":
        context = ssl.create_default_context(cafile=str(cert))
        connection: http.client.HTTPConnection = http.client.HTTPSConnection(
            host.replace("127.0.0.1", "localhost"), timeout=60, context=context
        )
    else:
        connection = http.client.HTTPConnection(host, timeout=60)
    connection.request("GET", path, headers=headers or {})
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer.status, json.loads(body)


def test_https_end_to_end(studies: Path, tmp_path: Path) -> None:
    cert, key = pem(tmp_path, "server")
    token = token_of(tmp_path / "state", "ann", Role.VIEWER)
    with live(studies, tmp_path, tls_cert=cert, tls_key=key, host="0.0.0.0") as address:
        assert address.startswith("https://")
        assert ask(address, cert=cert)[0] == 401
        assert ask(address, headers={"Authorization": f"Bearer {token}"}, cert=cert)[0] == 200


def test_only_the_trusted_proxy_speaks_for_others(studies: Path, tmp_path: Path) -> None:
    """uvicorn believes every program on this computer unless it is told otherwise."""
    token = token_of(tmp_path / "state", "ann", Role.VIEWER)
    wanted = {"Authorization": f"Bearer {token}", "X-Forwarded-Proto": "https", "X-Forwarded-For": "10.9.8.7"}
    for proxy, believed in (("10.0.0.1", False), ("127.0.0.1", True)):
        with live(studies, tmp_path, behind_proxy=proxy) as address:
            connection = http.client.HTTPConnection(address.partition("://")[2], timeout=60)
            connection.request("GET", "/info/", headers=wanted)
            answer = connection.getresponse()
            answer.read()
            assert answer.status == 200
            assert (answer.getheader("Strict-Transport-Security") is not None) is believed
            connection.close()


def test_nobody_gets_round_the_proxy_by_plain_http(studies: Path, tmp_path: Path) -> None:
    token = token_of(tmp_path / "state", "ann", Role.VIEWER)
    signed = {"Authorization": f"Bearer {token}"}
    with live(studies, tmp_path, host="0.0.0.0", behind_proxy="10.0.0.1") as address:
        for headers in (signed, {**signed, "X-Forwarded-Proto": "https"}):
            status, said = ask(address, headers=headers)
            assert status == 403
            assert "https" in said["detail"]
        assert ask(address, "/healthz")[0] == 200
    with live(studies, tmp_path, host="0.0.0.0", behind_proxy="127.0.0.1") as address:
        assert ask(address, headers=signed)[0] == 403
        assert ask(address, headers={**signed, "X-Forwarded-Proto": "https"})[0] == 200
