"""Signatures, checked by the specification's own library."""

import time
from base64 import b64encode

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from app.notify.standard_webhooks import BadSecret, headers, key_of

OLD, NEW = ("whsec_" + b64encode(bytes([n]) * 32).decode() for n in (1, 2))
BODY = b'{"type":"approval.requested"}'


def test_every_secret_verifies_the_same_message() -> None:
    signed = headers([key_of(OLD), key_of(NEW)], message_id="dlv_1", timestamp=int(time.time()), body=BODY)
    for secret in (OLD, NEW):
        assert Webhook(secret).verify(BODY, signed) == {"type": "approval.requested"}


def test_an_altered_body_id_time_or_another_secret_does_not_verify() -> None:
    signed = headers([key_of(OLD)], message_id="dlv_1", timestamp=int(time.time()), body=BODY)
    for body, changed in (
        (BODY + b" ", {}),
        (BODY, {"webhook-id": "dlv_2"}),
        (BODY, {"webhook-timestamp": str(int(time.time()) - 1)}),
    ):
        with pytest.raises(WebhookVerificationError):
            Webhook(OLD).verify(body, signed | changed)
    with pytest.raises(WebhookVerificationError):
        Webhook(NEW).verify(BODY, signed)


def test_the_signature_is_the_one_of_the_specification() -> None:
    key = key_of("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    signed = headers(
        [key], message_id="msg_p5jXN8AQM9LWM0D4loKWxJek", timestamp=1614265330, body=b'{"test": 2432232314}'
    )
    assert signed["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@pytest.mark.parametrize(
    "secret", ["", "whsec_", "hunter2", "whsec_!!!!", b64encode(bytes(32)).decode(),
               "whsec_" + b64encode(bytes(8)).decode(), "whsec_" + b64encode(bytes(65)).decode()]
)  # fmt: skip
def test_a_secret_of_another_form_is_refused_and_not_quoted(secret: str) -> None:
    with pytest.raises(BadSecret) as refused:
        key_of(secret)
    assert secret.removeprefix("whsec_") == "" or secret.removeprefix("whsec_") not in str(refused.value)
