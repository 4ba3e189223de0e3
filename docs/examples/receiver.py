"""A receiver of webhooks of a OneMap Twin, in plain Python: it verifies a message and says what changed.

    WEBHOOK_SECRET=whsec_… python docs/examples/receiver.py 9000

Any library of Standard Webhooks (https://www.standardwebhooks.com) does what `verified` does.
"""

import base64
import hashlib
import hmac
import json
import os
import sys
import time
from http.server import BaseHTTPRequestHandler, HTTPServer

TOLERANCE_SECONDS = 300


def verified(headers, body: bytes, secret: str) -> bool:
    """Whether somebody who knows the secret signed these bytes a moment ago."""
    message, at = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    if not at.isdecimal() or abs(time.time() - int(at)) > TOLERANCE_SECONDS:
        return False
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = f"{message}.{at}.".encode() + body
    wanted = b"v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256))
    # several while a secret is replaced
    given = headers.get("webhook-signature", "").encode().split(b" ")
    return any(hmac.compare_digest(wanted, one) for one in given)


def changed(page: dict) -> None:
    """Do something with it, fit to be done twice: a message may come again."""
    if page["reset"]:
        print("another history: fetch everything again")
    for layer in page["layers"]:
        print("as a whole:", layer["id"])
    for feature in page["features"]:
        print(feature["change"], feature["layer"], feature["id"])


class Receiver(BaseHTTPRequestHandler):
    """Takes messages at any path."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        good = verified(self.headers, body, os.environ["WEBHOOK_SECRET"])
        if good:
            changed(json.loads(body))
        # after it is done: what is not answered with 2xx is sent again
        self.send_response(204 if good else 401)
        self.end_headers()


if __name__ == "__main__":
    HTTPServer(("127.0.0.1", int(sys.argv[1])), Receiver).serve_forever()
