"""Masks are values here; how each becomes SQL is decided by the dialect, what key it uses by the caller."""
