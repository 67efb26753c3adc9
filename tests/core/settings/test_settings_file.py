"""douane.yaml: what loads, and what each refusal says."""

from collections.abc import Callable
from pathlib import Path

import pytest

from app.detecting import build_detectors
from app.serving import StartRefused
from app.settings import PluginConnection, PostgresConnection, Settings, SettingsError, SqliteConnection, load_settings
from app.settings.connections import OtherSection
from app.settings.load import config_path
from app.settings.unsafe import findings

BASE = """\
issuers:
  - {issuer: "https://idp.example/", audience: "https://douane.example/api"}
audit: {dir: state/audit, key: {file: audit.key}, origin: "douane.example/log"}
"""
Load = Callable[..., Settings]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    key = tmp_path / "audit.key"
    key.write_text("pem\n")
    key.chmod(0o600)

    def _load(text: str, base: str = BASE, **environment: str) -> Settings:
        (tmp_path / "douane.yaml").write_text(base + text)
        return load_settings(tmp_path / "douane.yaml", environment=environment)

    return _load


def problems(load: Load, text: str, base: str = BASE, **environment: str) -> str:
    with pytest.raises(SettingsError) as caught:
        load(text, base, **environment)
    return "\n".join(caught.value.problems)


def test_the_shortest_file_has_the_documented_defaults(load: Load) -> None:
    settings = load("")
    assert (settings.server.host, settings.server.port, settings.server.workers) == ("127.0.0.1", 8080, 1)
    assert settings.limits.max_body_bytes == 262_144
    assert settings.issuers[0].algorithms == ("RS256", "ES256")
    assert settings.issuers[0].clients is None


def test_a_connection_has_the_documented_limits(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_DSN", "postgresql://x")
    shop = load("connections: {shop: {kind: postgres, dsn: {env: SHOP_DSN}}}\n").connections["shop"]
    assert isinstance(shop, PostgresConnection)
    assert (shop.max_rows, shop.max_bytes, shop.max_value_bytes) == (10_000, 16_777_216, 1_048_576)
    assert (shop.pool_max, shop.statement_timeout_s) == (10, 30.0)
    assert shop.secret is not None
    assert shop.secret() == "postgresql://x"


def test_relative_paths_start_at_the_folder_of_the_file(load: Load, tmp_path: Path) -> None:
    settings = load("connections: {local: {kind: sqlite, path: data/shop.db}}\n")
    local = settings.connections["local"]
    assert isinstance(local, SqliteConnection)
    assert local.options == {"path": str(tmp_path / "data/shop.db")}
    assert settings.policies == tmp_path / "policies"
    assert settings.audit.dir == tmp_path / "state/audit"
    assert settings.store.read_url() == f"sqlite:///{tmp_path}/state/douane.db"


def test_an_absolute_path_stays(load: Load, tmp_path: Path) -> None:
    assert load("policies: /etc/douane/policies\n").policies == Path("/etc/douane/policies")
    assert load("store: {url: 'sqlite:////var/lib/douane.db'}\n").store.read_url() == "sqlite:////var/lib/douane.db"


def test_an_unknown_key_names_file_line_and_a_near_miss(load: Load, tmp_path: Path) -> None:
    said = problems(load, "server:\n  host: 127.0.0.1\n  prot: 8080\n")
    assert said == f"{tmp_path}/douane.yaml:6: server.prot: unknown key; did you mean port?"


def test_an_unknown_section_is_refused_and_a_later_one_is_told_apart(load: Load) -> None:
    assert "douane.yaml:4: servr: unknown key" in problems(load, "servr: {}\n")
    assert "console: this section is not available in this release" in problems(load, "console: {}\n")


def test_every_problem_is_told_at_once(load: Load) -> None:
    said = problems(load, "server: {port: 70000, workers: 0}\nlimits: {max_body_bytes: '1'}\n")
    assert said.count("\n") == 2


@pytest.mark.parametrize("kind", ["mysql", "duckdb", "gcs", "postgresql"])
def test_a_kind_of_another_release_is_refused_with_those_that_work(load: Load, kind: str) -> None:
    said = problems(load, f"connections:\n  x: {{kind: {kind}}}\n")
    known = "filesystem, kafka, memory, nats, postgres, rabbitmq, s3, sqlite, sqs"
    assert f"connections.x.kind: kind {kind} is not available in this release; known: {known}" in said
    assert "douane.yaml:5:" in said


def test_a_registered_kind_of_a_third_party_takes_its_own_settings(tmp_path: Path, load: Load) -> None:
    load("connections: {x: {kind: sqlite, path: a}}\n")
    (tmp_path / "douane.yaml").write_text(BASE + "connections: {x: {kind: oracle, settings: {sid: orcl}}}\n")
    settings = load_settings(tmp_path / "douane.yaml", environment={}, kinds={"oracle"})
    assert isinstance(settings.connections["x"], PluginConnection)
    assert settings.connections["x"].options == {"sid": "orcl"}


def test_a_secret_written_out_is_refused_and_not_repeated(load: Load) -> None:
    said = problems(load, "connections:\n  shop:\n    kind: postgres\n    dsn: 'postgresql://u:hunter2@h/d'\n")
    assert "connections.shop.dsn: secrets are references, never values" in said
    assert "douane.yaml:7:" in said
    assert "hunter2" not in said


def test_a_store_address_with_a_password_is_refused_and_not_repeated(load: Load) -> None:
    said = problems(load, "store: {url: 'postgresql://u:hunter2@h/d'}\n")
    assert "store.url: the address holds a password" in said
    assert "hunter2" not in said


def test_a_store_address_may_be_a_reference(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STORE", "postgresql://u:p@h/d")
    assert load("store: {url: {env: STORE}}\n").store.read_url() == "postgresql://u:p@h/d"


def test_a_missing_secret_names_line_field_and_reference(load: Load) -> None:
    said = problems(load, "connections:\n  shop: {kind: postgres, dsn: {env: DOUANE_TEST_ABSENT}}\n")
    assert said.endswith("douane.yaml:5: connections.shop.dsn: environment variable DOUANE_TEST_ABSENT is not set")
    assert "masking.key: " in problems(load, "masking: {key: {file: nowhere.key}}\n")


def test_a_reference_is_either_env_or_file(load: Load) -> None:
    assert "expected exactly one of env and file" in problems(load, "masking: {key: {env: A, file: b}}\n")
    assert "expected exactly one of env and file" in problems(load, "masking: {key: {}}\n")


def test_the_signing_key_must_be_a_file(load: Load) -> None:
    base = BASE.replace("{file: audit.key}", "{env: HOME}")
    assert "audit.key: the signing key must be a file" in problems(load, "", base)


def test_without_an_issuer_nobody_could_sign_in(load: Load) -> None:
    assert "issuers: name at least one" in problems(load, "", BASE[BASE.index("audit:") :])


def test_issuers_that_can_speak_for_the_same_name_are_a_finding(load: Load) -> None:
    second = '  - {issuer: "https://b.example/", audience: x%s}\n'
    head, tail = BASE.split("audit: ", 1)
    shared = load("", f"{head}{second % ''}audit: {tail}")
    apart = load("", f"{head}{second % ', namespace: partner'}audit: {tail}")
    assert "shared_namespace" in [finding.code for finding in findings(shared)]
    assert "shared_namespace" not in [finding.code for finding in findings(apart)]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("server: [\n", "not YAML"),
        ("server: {}\nserver: {}\n", "server stands here a second time"),
        ("server: &a {}\nlimits: *a\n", "aliases"),
        ("server: !!python/object/apply:os.system [id]\n", "server: input should be an object"),
        ("policies: !!binary aGk=\n", "tag tag:yaml.org,2002:binary is not read"),
        ("server: {port: 99999999999999999999999}\n", "out of range"),
        ("server: {port: .nan}\n", "server.port: input should be a valid integer"),
        ("server: {port: true}\n", "server.port: input should be a valid integer"),
        ("server: {port: '8080'}\n", "server.port: input should be a valid integer"),
        ("server: {public_url: 'ftp://x'}\n", "expected an absolute http(s) URL"),
        ("server: {public_url: 'https://u:p@x'}\n", "must have no user"),
        ("connections: {Shop: {kind: sqlite, path: x}}\n", "connections.Shop: string should match pattern"),
        ("connections: {shop: 5}\n", "connections.shop: input should be an object"),
        ("connections: {shop: {kind: [1]}}\n", "connections.shop.kind: input should be a valid string"),
        ("issuers: 5\n", "issuers stands here a second time"),
    ],
)
def test_bad_documents_are_refused_in_a_sentence(load: Load, text: str, said: str) -> None:
    assert said in problems(load, text)


def test_weak_algorithms_cannot_be_configured(load: Load) -> None:
    for algorithm in ("none", "HS256"):
        base = BASE.replace('api"}', f'api", algorithms: [{algorithm}]}}')
        assert "issuers[0].algorithms[0]" in problems(load, "", base)


def test_a_file_that_is_not_there_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="No such file"):
        load_settings(tmp_path / "none.yaml", environment={})


def test_the_option_wins_over_the_variable_and_the_variable_over_the_default() -> None:
    assert config_path(Path("a"), {"DOUANE_CONFIG": "b"}) == Path("a")
    assert config_path(None, {"DOUANE_CONFIG": "b"}) == Path("b")
    assert config_path(None, {}) == Path("douane.yaml")


def test_a_variable_overrides_a_field(load: Load) -> None:
    settings = load(
        "server: {port: 8080}\n", DOUANE_SERVER__PORT="9000", DOUANE_POLICIES="p", DOUANE_LIMITS__MAX_URL_BYTES="2048"
    )
    assert settings.server.port == 9_000
    assert settings.policies.name == "p"
    assert settings.limits.max_url_bytes == 2_048


def test_a_variable_reaches_into_connections_and_lists(load: Load) -> None:
    settings = load(
        "connections: {my-shop: {kind: sqlite, path: a}}\n",
        DOUANE_CONNECTIONS__MY_SHOP__POOL_MAX="3",
        DOUANE_CONNECTIONS__OTHER="{kind: sqlite, path: b}",
        DOUANE_ISSUERS__0__CLIENTS="[sales-agent]",
        DOUANE_ISSUERS__1="{issuer: 'https://b/', audience: x, namespace: b}",
    )
    assert settings.connections["my-shop"].pool_max == 3
    assert set(settings.connections) == {"my-shop", "other"}
    assert settings.issuers[0].clients == ("sales-agent",)
    assert settings.issuers[1].namespace == "b"


def test_a_mistake_in_a_variable_names_the_variable(load: Load) -> None:
    assert problems(load, "", DOUANE_SERVER__POTR="1").startswith(
        "environment variable DOUANE_SERVER__POTR: server.potr"
    )
    assert "environment variable DOUANE_SERVER__PORT: server.port" in problems(load, "", DOUANE_SERVER__PORT="x")
    assert "DOUANE_ISSUERS__7__AUDIENCE" in problems(load, "", DOUANE_ISSUERS__7__AUDIENCE="x")
    assert "DOUANE_SERVER____PORT" in problems(load, "", DOUANE_SERVER____PORT="x")


def test_the_value_of_a_variable_is_not_repeated(load: Load) -> None:
    said = problems(
        load, "", DOUANE_CONNECTIONS__SHOP="{kind: postgres, dsn: 'hunter2'}", DOUANE_STORE__URL="a: b: hunter2"
    )
    assert "hunter2" not in said


def test_variables_that_hold_secrets_or_belong_to_others_are_left_alone(load: Load) -> None:
    load("", DOUANE_MASK_KEY="x", DOUANE_PORT_8080_TCP="tcp://", DOUANE_SERVICE_HOST="10.0.0.1")


@pytest.mark.parametrize(
    ("section", "options", "secrets"),
    [
        ("{kind: filesystem, root: /data}", {"root": "/data"}, []),
        (
            "{kind: s3, bucket: lake, endpoint_url: 'http://127.0.0.1:9', access_key: {env: K}, secret_key: {env: S}}",
            {"bucket": "lake", "region": "us-east-1", "endpoint_url": "http://127.0.0.1:9", "path_style": False},
            ["access_key", "secret_key"],
        ),
        (
            "{kind: memory, topics: [orders.created]}",
            {"topics": ("orders.created",), "max_messages": 10_000, "dedup_window_s": 300.0},
            [],
        ),
        (
            "{kind: nats, url: 'nats://127.0.0.1:4222', stream: EVENTS, token: {env: K}}",
            {"url": "nats://127.0.0.1:4222", "stream": "EVENTS", "durable": "douane"},
            ["token"],
        ),
        ("{kind: rabbitmq, url: {env: K}}", {"exchange": "", "max_unacked": 1_000}, ["url"]),
    ],
)
def test_a_connection_hands_its_kind_the_options_and_secrets_of_its_own(
    load: Load, section: str, options: dict[str, object], secrets: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("K", "key")
    monkeypatch.setenv("S", "sec")
    connection = load(f"connections: {{x: {section}}}\n").connections["x"]
    assert isinstance(connection, OtherSection)
    assert dict(connection.options) == options
    assert sorted(connection.secrets) == secrets
    assert all(read() in ("key", "sec") for read in connection.secrets.values())


@pytest.mark.parametrize(
    ("section", "said"),
    [
        ("{kind: s3, bucket: lake, access_key: {env: K}}", "access_key and secret_key belong together"),
        ("{kind: s3, bucket: lake, kms_key_id: k}", "kms_key_id needs server_side_encryption"),
        ("{kind: memory, topics: ['a b']}", "connections.x.topics"),
        ("{kind: filesystem}", "connections.x.root"),
        ("{kind: s3, bucket: lake, secret_key: written-out, access_key: {env: K}}", "connections.x.secret_key"),
    ],
)
def test_a_connection_that_could_not_work_is_refused_with_its_field(
    load: Load, section: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("K", "key")
    assert said in problems(load, f"connections: {{x: {section}}}\n")


def test_detectors_are_built_as_the_file_says(load: Load) -> None:
    said = "detectors: {min_score: 0.7, disabled: [ip], labels: {email: contact.mail}, regions: [FR]}\n"
    detectors = build_detectors(load(said).detectors)
    found = detectors.find("write to ann@example.org from 192.168.7.7")
    assert [(each.entity, each.label) for each in found] == [("email", "contact.mail")]


@pytest.mark.parametrize(
    "section",
    ["{disabled: [nobody]}", "{regions: [ZZ]}", "{labels: {nobody: a.b}}", "{presidio: {model: no_such_model}}"],
)
def test_detectors_that_do_not_exist_keep_the_gateway_from_starting(load: Load, section: str) -> None:
    with pytest.raises(StartRefused, match="detectors:"):
        build_detectors(load(f"detectors: {section}\n").detectors)
