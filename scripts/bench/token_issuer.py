"""An issuer for one run: a key made now, its JWKS served on loopback, and one token for the benchmark's client."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from joserfc import jwt
from joserfc.jwk import ECKey

AUDIENCE = "https://douane.bench/api"
CLIENT = "bench-agent"
ROLE = "bench"
SCOPES = "douane:query douane:objects douane:messages"
LIFETIME_S = 6 * 3600
KEY_ID = "bench-1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Issuer:
    url: str
    jwks_url: str
    token: str


@contextmanager
def issuer() -> Iterator[Issuer]:
    key = ECKey.generate_key("P-256", parameters={"kid": KEY_ID, "use": "sig", "alg": "ES256"})
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler({"keys": [key.as_dict(private=False)]}))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}"
    now = int(time.time())
    claims = {
        "iss": url, "aud": AUDIENCE, "sub": CLIENT, "client_id": CLIENT, "roles": [ROLE], "scope": SCOPES,
        "iat": now, "exp": now + LIFETIME_S, "jti": "bench",
    }  # fmt: skip
    token = jwt.encode({"alg": "ES256", "typ": "at+jwt", "kid": KEY_ID}, claims, key)
    try:
        yield Issuer(url=url, jwks_url=f"{url}/jwks", token=token)
    finally:
        server.shutdown()
        server.server_close()


def _handler(jwks: dict[str, Any]) -> type[BaseHTTPRequestHandler]:
    body = json.dumps(jwks).encode()

    class Jwks(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Nothing on the terminal but the table."""

    return Jwks
