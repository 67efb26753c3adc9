"""Connectors run what the gateway decided; they decide nothing and import nothing of app."""
