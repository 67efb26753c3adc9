"""douane.yaml and the environment, read once. Only the composition root imports this; others get pieces."""

from app.settings.load import SettingsError, config_path, load_settings
from app.settings.model import (
    Audit,
    Connection,
    FilesystemConnection,
    Issuer,
    Limits,
    Masking,
    MemoryConnection,
    PluginConnection,
    PostgresConnection,
    SecretRef,
    Server,
    Settings,
    SqliteConnection,
    Store,
)
from app.settings.unsafe import findings, unacknowledged

__all__ = [
    "Audit",
    "Connection",
    "FilesystemConnection",
    "Issuer",
    "Limits",
    "Masking",
    "MemoryConnection",
    "PluginConnection",
    "PostgresConnection",
    "SecretRef",
    "Server",
    "Settings",
    "SettingsError",
    "SqliteConnection",
    "Store",
    "config_path",
    "findings",
    "load_settings",
    "unacknowledged",
]
