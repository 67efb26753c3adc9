"""Logs of drivers stay out of ours: they quote frames, headers and addresses."""

import logging


def silence(*names: str) -> None:
    """Loggers with these names, and those below them, reach nobody who did not attach a handler to them by name."""
    for name in names:
        logger = logging.getLogger(name)
        logger.propagate = False
        if not logger.handlers:
            logger.addHandler(logging.NullHandler())
