"""The reverse proxies of docs/operating.md, run as they stand there, before a server as it is started there."""

from __future__ import annotations

import http.client
import json
import os
import re
import shutil
import socket
import ssl
import subprocess
import time
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.dicom.phantoms import GRIDS, sample, write_dicom_series
from tests.server.test_logs import server
from tests.server.test_run import pem
from tests.serving import OHIF_PARAMS, ROOT, raw_voxels, token_of
from tumorseg.access.types import Role
from tumorseg.audit.log import AuditLog
from tumorseg.audit.read import Wanted, records

PAGE = (ROOT / "docs" / "operating.md").read_text()
PASSWORD = "correct horse battery staple"
NAME = "localhost"
PATIENT = "MUSTERFRAU^ERIKA"


def block(kind: str) -> str:
    """Return a fenced block of the page."""
    found = re.search(rf"^```{kind}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    assert found, f"docs/operating.md has no {kind} block"
    return found[1]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def replaced(text: str, changes: dict[str, str]) -> str:
    """Put a test's places where the example has an operator's; each must be there."""
    for old, new in changes.items():
        assert old in text, f"the example no longer says {old!r}: mend this test"
        text = text.replace(old, new)
    return text


@contextmanager
def nginx(folder: Path, upstream: int, cert: Path, key: Path) -> Iterator[int]:
    program = shutil.which("nginx") or pytest.skip("nginx is not installed: apt-get install nginx-light")
    port = free_port()
    changes = {
        "server 127.0.0.1:8000;": f"server 127.0.0.1:{upstream};",
        "listen 443 ssl;": f"listen 127.0.0.1:{port} ssl;",
        "listen 80;": f"listen 127.0.0.1:{free_port()};",
        "seg.example.org": NAME,
        "/etc/ssl/tumorseg.pem": str(cert),
        "/etc/ssl/private/tumorseg.key": str(key),
        "/var/log/nginx/tumorseg.log": str(folder / "nginx.log"),
    }
    temporary = "".join(
        f"    {kind}_temp_path {folder};\n" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    conf = folder / "nginx.conf"
    site = replaced(block("nginx"), changes)
    conf.write_text(
        f"daemon off;\npid {folder}/nginx.pid;\nerror_log {folder}/nginx.log crit;\n"
        f"events {{}}\nhttp {{\n{temporary}{site}\n}}\n"
    )
    with running([program, "-p", str(folder), "-c", str(conf), "-e", str(folder / "nginx.log")], folder, port):
        yield port


@contextmanager
def caddy(folder: Path, upstream: int, cert: Path, key: Path) -> Iterator[int]:
    program = shutil.which("caddy") or pytest.skip("Caddy is not installed: apt-get install caddy")
    port = free_port()
    changes = {
        "seg.example.org {": f"https://{NAME}:{port} {{\n    bind 127.0.0.1",
        "127.0.0.1:8000": f"127.0.0.1:{upstream}",
        "/etc/ssl/tumorseg.pem": str(cert),
        "/etc/ssl/private/tumorseg.key": str(key),
    }
    conf = folder / "Caddyfile"
    conf.write_text("{\n    admin off\n    auto_https disable_redirects\n}\n" + replaced(block("caddy"), changes))
    with running([program, "run", "--config", str(conf), "--adapter", "caddyfile"], folder, port):
        yield port


@contextmanager
def running(command: list[str], folder: Path, port: int) -> Iterator[None]:
    """Run a proxy until the block ends."""
    environment = {"PATH": os.environ.get("PATH", ""), "HOME": str(folder), "XDG_DATA_HOME": str(folder)}
    said = folder / "proxy.txt"
    with (
        said.open("w") as output,
        subprocess.Popen(command, stdout=output, stderr=output, cwd=folder, env=environment) as process,
    ):
        try:
            end = time.monotonic() + 30
            while socket.socket().connect_ex(("127.0.0.1", port)):
                assert process.poll() is None, said.read_text()
                assert time.monotonic() < end, said.read_text()
                time.sleep(0.1)
            yield
        finally:
            process.terminate()
            process.wait(30)


@dataclass
class Answer:
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes


@dataclass
class Browser:
    """Somebody who talks https to the proxy by its name."""

    port: int
    cert: Path
    cookie: str = ""

    def ask(self, method: str, path: str, body: bytes | None = None, **headers: str) -> Answer:
        context = ssl.create_default_context(cafile=str(self.cert))
        connection = http.client.HTTPSConnection(NAME, self.port, context=context, timeout=120)
        said = {"Cookie": self.cookie} if self.cookie else {}
        said |= {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, body, said)
        answer = connection.getresponse()
        found = Answer(answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read())
        connection.close()
        return found

    def sign_in(self, name: str, password: str) -> Answer:
        form = urllib.parse.urlencode({"username": name, "password": password, "next": "/ohif/"}).encode()
        answer = self.ask(
            "POST",
            "/signin",
            form,
            Content_Type="application/x-www-form-urlencoded",
            Origin=f"https://{NAME}:{self.port}",
            Sec_Fetch_Site="same-origin",
        )
        self.cookie = answer.headers.get("set-cookie", "").partition(";")[0]
        return answer


@pytest.mark.slow
@pytest.mark.parametrize("proxy", [nginx, caddy], ids=["nginx", "caddy"])
def test_the_example_of_the_operators_page(proxy, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    write_dicom_series(
        tmp_path / "studies", GRIDS["axial"], sample(GRIDS["axial"]), SeriesDescription="FLAIR", PatientName=PATIENT
    )
    token_of(tmp_path / "state", "ann", Role.ANNOTATOR, PASSWORD)
    folder = tmp_path / "proxy"
    folder.mkdir(mode=0o755)
    cert, key = pem(tmp_path, "server")
    conf = {"auth": "required", "behind_proxy": "127.0.0.1", "allowed_hosts": NAME, "log_format": "json"}
    log = tmp_path / "server.log"
    with (
        server(tmp_path / "studies", tmp_path, log, **conf) as address,
        proxy(folder, urllib.parse.urlsplit(address).port, cert, key) as port,
    ):
        browser = Browser(port, cert)
        stranger = browser.ask("GET", "/ohif/", Sec_Fetch_Site="none", Sec_Fetch_Mode="navigate", Accept="text/html")
        assert stranger.status in (200, 303, 307), stranger
        assert browser.ask("GET", "/info/").status == 401
        assert browser.sign_in("ann", "wrong wrong wrong").status in (401, 403)
        signed = browser.sign_in("ann", PASSWORD)
        assert signed.status == 303, signed
        # The server knows that the browser speaks https, though it does not itself.
        assert {"secure", "httponly", "samesite=strict"} <= {
            part.strip().lower() for part in signed.headers["set-cookie"].split(";")
        }
        page = browser.ask("GET", "/ohif/")
        assert (page.status, b"OHIF" in page.body) == (200, True)
        scripts = re.findall(rb'src="(/ohif/[^"]*bundle[^"]*\.js)"', page.body)
        assert scripts
        for script in scripts:
            bundle = browser.ask("GET", script.decode())
            assert (bundle.status, len(bundle.body) > 1000) == (200, True), script
        found = browser.ask("GET", f"/proxy/dicom/qido/studies?PatientName={urllib.parse.quote(PATIENT)}")
        assert json.loads(found.body)[0]["00100010"]["Value"][0]["Alphabetic"] == PATIENT
        listed = json.loads(browser.ask("GET", "/datastore/?output=all").body)
        (image,) = listed["objects"]
        form = urllib.parse.urlencode({"params": json.dumps(OHIF_PARAMS)}).encode()
        own = {"Origin": f"https://{NAME}:{port}", "Sec_Fetch_Site": "same-origin"}
        mask = browser.ask(
            "POST",
            f"/infer/threshold?image={image}&output=image",
            form,
            Content_Type="application/x-www-form-urlencoded",
            **own,
        )
        assert raw_voxels(mask.body).any()
        boundary = "a-boundary"
        upload = (
            f'--{boundary}\r\nContent-Disposition: form-data; name="label"; filename="x.nrrd"\r\n'
            f"Content-Type: application/octet-stream\r\n\r\n"
        ).encode() + mask.body
        upload += f"\r\n--{boundary}--\r\n".encode()
        kind = f"multipart/form-data; boundary={boundary}"
        saved = browser.ask("PUT", f"/datastore/label?image={image}&tag=final", upload, Content_Type=kind, **own)
        assert saved.status == 200, saved
        large = upload.replace(mask.body, os.urandom(40 << 20))
        session = browser.ask("PUT", "/session/", large.replace(b"label", b"files"), Content_Type=kind, **own)
        assert session.status == 422, session  # 40 MB of noise came through, and are no image
        elsewhere = browser.ask("DELETE", f"/datastore/label?id={image}&tag=final", Origin="https://evil.example")
        assert elsewhere.status == 403
        liar = browser.ask(
            "GET", f"/datastore/image?image={image}", X_Forwarded_For="6.6.6.6", X_Request_ID="my-own-id-1"
        )
        assert liar.status == 200
        time.sleep(0.6)
    state = AuditLog(tmp_path / "state" / "audit").folder
    about = records(state, Wanted(who="ann"))
    assert {"label.save", "image.read", "infer", "signin"} <= {record.action for record in about}
    assert {record.address for record in about} == {"127.0.0.1"}  # where this test is, and not what it said
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    ids = {line["request_id"] for line in lines if line.get("route") == "/datastore/image"}
    assert [len(ident) for ident in ids] == [32 if proxy is nginx else 36]  # the proxy's, not one of ours
    for path in (log, *folder.rglob("*")):
        if path.is_file():
            text = path.read_bytes()
            assert b"MUSTERFRAU" not in text, path
            assert image.encode() not in text or path == log, path


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
def test_systemd_takes_the_unit(tmp_path: Path) -> None:
    unit = tmp_path / "tumorseg.service"
    unit.write_text(replaced(block("ini"), {"/opt/tumorseg/.venv/bin/tumorseg": "/bin/true", "User=tumorseg\n": ""}))
    done = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True, timeout=60)
    assert "tumorseg" not in done.stdout + done.stderr, done.stderr


def test_every_setting_of_the_page_exists() -> None:
    from dataclasses import fields

    from tumorseg.config import AppConfig

    known = {field.name for field in fields(AppConfig)}
    named = {name.lower() for name in re.findall(r"TUMORSEG_([A-Z_]+)", PAGE)}
    assert named - known == set()
    assert len(named) > 5
