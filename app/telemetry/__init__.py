"""Logs, metrics and trace ids: what operators see. Events and counts, never a value of the data."""
