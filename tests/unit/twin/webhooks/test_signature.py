"""What is signed is what another implementation of Standard Webhooks verifies."""

from __future__ import annotations

import base64
import time

import pytest
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from twin.webhooks import signature

OLD = "whsec_" + base64.b64encode(bytes(range(32))).decode()
NEW = "whsec_" + base64.b64encode(b"\xff" * 24).decode()
BODY = '{"title":"街道"}'.encode()


def test_the_example_of_the_specification_is_signed_alike():
    """Of the reference implementations' own tests."""
    sent = signature.headers(
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        1614265330,
        b'{"test": 2432232314}',
        signature.keys("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"),
    )
    assert sent["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_the_library_verifies_it_and_refuses_what_was_changed():
    sent = signature.headers("msg_1", int(time.time()), BODY, signature.keys(OLD))
    assert Webhook(OLD).verify(BODY, sent) == {"title": "街道"}
    for body, headers in (
        (BODY + b" ", sent),
        (BODY, sent | {"webhook-id": "msg_2"}),
        (BODY, sent | {"webhook-timestamp": str(int(time.time()) - 60)}),
    ):
        with pytest.raises(WebhookVerificationError):
            Webhook(OLD).verify(body, headers)


def test_while_a_secret_is_replaced_both_verify():
    sent = signature.headers("msg_1", int(time.time()), BODY, signature.keys(f"{NEW}\n{OLD}\n"))
    for secret in (OLD, NEW):
        Webhook(secret).verify(BODY, sent)


@pytest.mark.parametrize("text", ["", " ", "whsec_", "whsec_AAAA", "secret", NEW[6:], NEW + "é"])
def test_what_is_no_secret_is_refused_without_telling_it(text: str):
    with pytest.raises(ValueError, match=r"secret") as refused:
        signature.keys(text)
    assert len(text) < 7 or text not in str(refused.value)
