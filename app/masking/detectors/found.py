"""What a detector says: which entity, where, how sure."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Found:
    """`text[start:end]` is the value: character offsets, end exclusive. `score` runs from 0 to 1."""

    entity: str
    label: str
    start: int
    end: int
    score: float


@dataclass(frozen=True, slots=True)
class Entity:
    """A kind of thing that detectors find. `sample` is reserved for documentation or fits no real owner."""

    name: str
    label: str
    description: str
    sample: str

    @property
    def secret(self) -> bool:
        return self.label.startswith("secret.")


def _secret(name: str, description: str, sample: str) -> Entity:
    return Entity(name, f"secret.{name}", description, sample)


ENTITIES: tuple[Entity, ...] = (
    Entity("email", "pii.email", "e-mail address, also written `name (at) example (dot) com`", "ada@example.com"),
    Entity("phone", "pii.phone", "telephone number, international or national", "+44 20 7946 0018"),
    Entity("card", "pci.card_number", "number of a payment card", "4111 1111 1111 1111"),
    Entity("iban", "pci.iban", "bank account, ISO 13616", "GB33 BUKB 2020 1555 5555 55"),
    Entity("national_id", "pii.national_id", "number a state gave to a person", "078-05-1120"),
    Entity("ip", "pii.ip", "IP address of a machine, version 4 or 6", "203.0.113.7"),
    _secret("aws_key", "identifier of an AWS access key", "AKIA…"),
    _secret("aws_secret", "secret half of an AWS access key", "40 characters behind its name"),
    _secret("github_token", "GitHub token", "ghp_…"),
    _secret("gitlab_token", "GitLab token", "glpat-…"),
    _secret("slack_token", "Slack token or webhook", "xoxb-…"),
    _secret("stripe_key", "Stripe secret or webhook key", "sk_live_…"),
    _secret("google_key", "Google API key or OAuth secret", "AIza…"),
    _secret("azure_key", "Azure storage account key", "AccountKey=…"),
    _secret("npm_token", "npm token", "npm_…"),
    _secret("pypi_token", "PyPI token", "pypi-…"),
    _secret("openai_key", "OpenAI key", "sk-proj-…"),
    _secret("anthropic_key", "Anthropic key", "sk-ant-…"),
    _secret("telegram_token", "Telegram bot token", "<digits>:AA…"),
    _secret("service_token", "token of another service, known by its prefix", "hf_…"),
    _secret("private_key", "private key in PEM, OpenPGP or OpenSSH armour", "-----BEGIN PRIVATE KEY-----"),
    _secret("jwt", "JSON Web Token, RFC 7519", "eyJ…"),
    _secret("url_password", "password in a URL", "https://ada:…@example.com"),
    _secret("password", "password behind its name", "password=…"),
    _secret("high_entropy", "random text behind a word like key, token or secret", "api_key=…"),
)
BY_NAME = {entity.name: entity for entity in ENTITIES}
