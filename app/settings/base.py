"""What every section of douane.yaml is made of: names, paths, addresses, and references to secrets."""

import ipaddress
from pathlib import Path
from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, StringConstraints, ValidationInfo, model_validator

from app.secrets.reference import read_env, read_file

Text = Annotated[str, StringConstraints(min_length=1, max_length=2_048)]
Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_-]{0,62}$")]


def loopback(host: str) -> bool:
    """A literal loopback address or `localhost`; names are not resolved."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def below(folder_of_config: Path, info: ValidationInfo) -> Path:
    base = (info.context or {}).get("base")
    return Path(base) / folder_of_config if base is not None else folder_of_config


def _http(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("expected an absolute http(s) URL")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise ValueError("the URL must have no user, query or fragment")
    return value


def _network(value: str) -> str:
    return str(ipaddress.ip_network(value))


FilePath = Annotated[Path, AfterValidator(below)]
"""Relative to the folder of the configuration file."""
HttpUrl = Annotated[Text, AfterValidator(_http)]
Network = Annotated[Text, AfterValidator(_network)]


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class SecretRef(Section):
    """`{env: NAME}` or `{file: PATH}`: where a secret is, never the secret."""

    env: Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")] | None = None
    file: FilePath | None = None

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        if (self.env is None) == (self.file is None):
            raise ValueError("expected exactly one of env and file")
        return self

    def read(self) -> str:
        """The secret as it is now, without its trailing newline. Raises SecretMissing, which names the reference."""
        if self.env is not None:
            return read_env(self.env)
        return read_file(self.file or Path())
