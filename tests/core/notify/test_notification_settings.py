"""The section `notifications`: what loads, and what each refusal says."""

from base64 import b64encode
from pathlib import Path

import pytest

from app.couriers import audiences
from app.settings import Settings, SettingsError, load_settings
from app.settings.notifications import EmailTarget, WebhookTarget

BASE = """\
issuers:
  - {issuer: "https://idp.example/", audience: "https://douane.example/api"}
audit: {dir: state/audit, key: {file: audit.key}, origin: "douane.example/log"}
notifications:
"""
SECRET = "whsec_" + b64encode(bytes(32)).decode()


def load(folder: Path, text: str) -> Settings:
    for name, content in (
        ("audit.key", "pem"), ("secret", SECRET), ("bad_secret", "hunter2"), ("password", "pw"),
        ("url", "https://hooks.example.com/T/B/x"), ("private_url", "https://10.0.0.1/secret-path"),
    ):  # fmt: skip
        (folder / name).write_text(content)
        (folder / name).chmod(0o600)
    (folder / "douane.yaml").write_text(BASE + "".join(f"  {line}\n" for line in text.splitlines()))
    return load_settings(folder / "douane.yaml", environment={})


def problems(folder: Path, text: str) -> str:
    with pytest.raises(SettingsError) as caught:
        load(folder, text)
    return "\n".join(caught.value.problems)


def test_every_kind_of_target_loads(tmp_path: Path) -> None:
    section = load(
        tmp_path,
        """\
allow_private: [127.0.0.0/8]
link_lifetime_s: 600
targets:
  ops: {kind: webhook, url: "https://hooks.example.com/x?y=1", secrets: [{file: secret}], events: [requested, approved]}
  chat: {kind: slack, url: {file: url}}
  teams: {kind: teams, url: {file: url}}
  mail: {kind: email, host: smtp.example.com, user: u, password: {file: password}, sender: d@b.c, recipients: [a@b.c]}
""",
    ).notifications
    ops, mail = section.targets["ops"], section.targets["mail"]
    assert isinstance(ops, WebhookTarget)
    assert isinstance(mail, EmailTarget)
    assert (mail.port_or_default, mail.tls) == (587, "starttls")
    assert audiences(section)["ops"] == {"requested", "approved"}
    assert len(audiences(section)["chat"]) == 10


def test_a_private_address_is_refused_at_start_with_file_line_and_reason(tmp_path: Path) -> None:
    said = problems(tmp_path, 'targets:\n  ops: {kind: slack, url: "https://169.254.169.254/x"}')
    assert "douane.yaml:6: notifications.targets.ops.url: the address is link-local" in said
    assert "allow_private" in said


def test_a_private_address_in_a_secret_is_refused_and_not_shown(tmp_path: Path) -> None:
    said = problems(tmp_path, "targets:\n  ops: {kind: teams, url: {file: private_url}}")
    assert "the address is private" in said
    assert "secret-path" not in said


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("{kind: slack, url: 'http://hooks.example.com/'}", "targets.t.url: without TLS only"),
        ("{kind: webhook, url: 'https://hooks.example.com/'}", "targets.t.secrets: is missing"),
        ("{kind: webhook, url: 'https://hooks.example.com/', secrets: []}", "targets.t.secrets: "),
        ("{kind: webhook, url: 'https://hooks.example.com/', secrets: [{file: bad_secret}]}",
         "targets.t.secrets.0: a webhook's secret is whsec_"),
        ("{kind: webhook, url: 'https://hooks.example.com/', secrets: [hunter2]}", "references, never values"),
        ("{kind: email, host: m.example.com, user: u, password: hunter2, sender: a@b.c, recipients: [a@b.c]}",
         "targets.t.password: secrets are references"),
        ("{kind: pager, url: 'https://hooks.example.com/'}", "kind is one of webhook, slack, teams and email"),
        ("{url: 'https://hooks.example.com/'}", "kind"),
        ("{kind: slack, url: 'https://hooks.example.com/', events: [everything]}", "targets.t.events.0: "),
        ("{kind: slack, url: 'https://hooks.example.com/', event: [requested]}", "did you mean events?"),
        ("{kind: email, host: m.example.com, sender: a@b.c, recipients: []}", "targets.t.recipients: "),
        ("{kind: email, host: m.example.com, sender: \"a@b.c\\nBcc: x@y.z\", recipients: [a@b.c]}", "t.sender: "),
        ("{kind: email, host: m.example.com, sender: a@b.c, recipients: ['a@b.c, d@e.f']}", "targets.t.recipients.0: "),
        ("{kind: email, host: m.example.com, user: u, sender: a@b.c, recipients: [a@b.c]}", "user and password"),
        ("{kind: email, host: 10.0.0.25, sender: a@b.c, recipients: [a@b.c]}", "t.host: the address is private"),
        ("{kind: email, host: m.example.com, tls: none, user: u, password: {file: password}, sender: a@b.c, "
         "recipients: [a@b.c]}", "in the clear"),
    ],
)  # fmt: skip
def test_what_cannot_work_is_refused_with_its_field(tmp_path: Path, target: str, said: str) -> None:
    found = problems(tmp_path, f"targets:\n  t: {target}")
    assert said in found.replace("[", ".").replace("]", "")
    assert "hunter2" not in found
