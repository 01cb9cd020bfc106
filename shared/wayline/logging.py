"""One canonical line per unit of work, as JSON on standard error. Never a customer's personal data."""

from __future__ import annotations

import logging
import sys

import structlog


def configure(service: str, level: str = "INFO") -> None:
    """Set up structured logging for one process.

    Args:
        service: goes on every line.
        level: a name of the standard library's levels.
    """
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.dict_tracebacks,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level]),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.bind_contextvars(service=service)
    # Third-party libraries: warnings and worse, in the same stream.
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format='{"logger":"%(name)s","event":"%(message)s"}')


def get(name: str) -> structlog.typing.FilteringBoundLogger:
    """A logger whose lines carry `name`."""
    logger: structlog.typing.FilteringBoundLogger = structlog.get_logger(module=name)
    return logger
