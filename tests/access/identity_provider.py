"""A little OpenID Connect provider with real keys: what it publishes and signs is what a hospital's would."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

AUDIENCE = "tumorseg"


class IdentityProvider:
    """Keys, people and what was asked of it."""

    def __init__(self) -> None:
        self.keys: dict[str, tuple[str, Any]] = {}
        self.issuer = ""
        self.people = {"ann": "correct horse battery", "bob": "staple staple staple"}
        self.roles: dict[str, list[str]] = {
            "ann": ["monailabel-annotator", "offline_access"],
            "bob": ["offline_access"],
        }
        self.asked: list[str] = []
        self.broken = False
        self.add_key("first", "RS256")

    def add_key(self, kid: str, algorithm: str) -> None:
        made: Any
        if algorithm.startswith("ES"):
            made = ec.generate_private_key(ec.SECP256R1())
        else:
            made = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.keys[kid] = (algorithm, made)

    def public_pem(self, kid: str) -> bytes:
        public = self.keys[kid][1].public_key()
        return bytes(public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo))

    def claims(self, name: str = "ann", **changes: Any) -> dict[str, Any]:
        now = int(time.time())
        said = {
            "iss": self.issuer,
            "aud": ["account", AUDIENCE],
            "sub": f"id-of-{name}",
            "iat": now,
            "nbf": now,
            "exp": now + 300,
            "preferred_username": name,
            "realm_access": {"roles": self.roles.get(name, [])},
        }
        return {key: value for key, value in {**said, **changes}.items() if value is not None}

    def token(self, kid: str = "first", headers: dict[str, Any] | None = None, **claims: Any) -> str:
        algorithm, key = self.keys[kid]
        return jwt.encode(self.claims(**claims), key, algorithm, headers={"kid": kid, **(headers or {})})

    def answer(self, path: str, form: dict[str, str]) -> tuple[int, dict[str, Any]]:
        self.asked.append(path)
        if self.broken:
            return 500, {}
        if path == "/realm/.well-known/openid-configuration":
            return 200, {
                "issuer": self.issuer,
                "jwks_uri": f"{self.issuer}/keys",
                "token_endpoint": f"{self.issuer}/token",
            }
        if path == "/realm/keys":
            return 200, {"keys": [self._published(kid) for kid in self.keys]}
        if path == "/realm/token" and form.get("grant_type") == "password" and form.get("client_id") == AUDIENCE:
            name = form.get("username", "")
            if self.people.get(name, "") == form.get("password"):
                token = self.token(name=name)
                return 200, {"access_token": token, "refresh_token": "r", "token_type": "Bearer", "expires_in": 300}
            return 401, {"error": "invalid_grant"}
        return 404, {}

    def _published(self, kid: str) -> dict[str, Any]:
        algorithm, key = self.keys[kid]
        kind = ECAlgorithm if algorithm.startswith("ES") else RSAAlgorithm
        public: Any = kind.to_jwk(key.public_key(), as_dict=True)
        return {**public, "kid": kid, "alg": algorithm, "use": "sig"}


@contextmanager
def identity_provider() -> Iterator[IdentityProvider]:
    """Serve one on a free port of this computer."""
    provider = IdentityProvider()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer({})

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            self._answer({name: values[0] for name, values in parse_qs(body).items()})

        def _answer(self, form: dict[str, str]) -> None:
            status, said = provider.answer(self.path, form)
            body = json.dumps(said).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    provider.issuer = f"http://127.0.0.1:{server.server_port}/realm"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield provider
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
