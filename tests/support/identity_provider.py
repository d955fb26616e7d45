"""A simulated identity provider: a JWKS, a revocation list and introspection, over HTTP."""

import base64
import json
import threading
import time
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey


class IdentityProvider:
    """An HTTP server on loopback; a context manager.

    Attributes:
        keys: Key id -> private key of the published JWKS.
        documents: Path -> text to answer instead of the generated one.
        revoked: Entries of the revocation list.
        opaque: Opaque token -> claims.
        is_out: Answer every request with 500.
        requests: Path -> number of requests.
    """

    client, secret = "tmf", "s3cret:ü"

    def __init__(self):
        self.keys = {"one": Ed25519PrivateKey.generate()}
        self.documents, self.opaque, self.requests = {}, {}, {}
        self.revoked = []
        self.is_out = False
        provider = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                provider._answer(self)

            def do_POST(self):
                provider._answer(self)

            def log_message(self, *_):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def url(self, path):
        """Return the URL of "jwks", "revoked" or "introspect"."""
        return f"http://127.0.0.1:{self._server.server_port}/{path}"

    def token(self, kid="one", key=None, **claims):
        """Return a token that is signed with a published key, or another one."""
        claims = {"sub": "me", "exp": time.time() + 600, "scope": "a", **claims}
        return jwt.encode(
            claims, key or self.keys[kid], algorithm="EdDSA", headers={"kid": kid, "jku": "x"}
        )

    def _answer(self, request):
        path = request.path.strip("/")
        self.requests[path] = self.requests.get(path, 0) + 1
        status, body = 200, self.documents.get(path) or getattr(self, f"_{path}")(request)
        if self.is_out:
            status, body = 500, "out"
        elif body is None:
            status, body = 401, "who are you?"
        content = body.encode()
        request.send_response(status)
        request.send_header("Content-Length", str(len(content)))
        request.end_headers()
        request.wfile.write(content)

    def _jwks(self, request):
        to_jwk = jwt.algorithms.OKPAlgorithm.to_jwk
        keys = [
            {**to_jwk(key.public_key(), as_dict=True), "kid": kid} for kid, key in self.keys.items()
        ]
        return json.dumps({"keys": keys})

    def _revoked(self, request):
        return json.dumps({"revoked": self.revoked})

    def _introspect(self, request):
        body = request.rfile.read(int(request.headers["Content-Length"])).decode()
        credentials = base64.b64encode(f"{self.client}:{self.secret}".encode()).decode()
        if request.headers["Authorization"] != f"Basic {credentials}":
            return None
        claims = self.opaque.get(urllib.parse.parse_qs(body)["token"][0])
        return json.dumps({"active": True, **claims} if claims else {"active": False})
