"""One canonical line per unit of work, as JSON on standard error. Never a customer's personal data."""

from __future__ import annotations

import logging
import re
import sys

import structlog
from structlog.processors import ExceptionRenderer
from structlog.tracebacks import ExceptionDictTransformer

_JSON = structlog.processors.JSONRenderer()
_ADDRESS = re.compile(r"[^\s\"'<>@:/=,;()\[\]{}\\]+@[\w-]+(?:\.[\w-]+)+")


def configure(service: str, level: str = "INFO", **facts: object) -> None:
    """Set up structured logging for one process.

    Args:
        service: goes on every line.
        level: a name of the standard library's levels.
        facts: go on every line too.
    """
    everywhere = {"service": service, **facts}

    def add_facts(_: object, __: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
        return {**everywhere, **event}

    structlog.configure(
        processors=[
            add_facts,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            # Without local variables: they hold events and profiles.
            ExceptionRenderer(ExceptionDictTransformer(show_locals=False)),
            render,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level]),
        # A line in one write: several processes may share the file.
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    # Third-party libraries: warnings and worse, in the same stream.
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format='{"logger":"%(name)s","event":"%(message)s"}')


def render(logger: object, method: str, event: structlog.typing.EventDict) -> str:
    """The line as JSON, without e-mail addresses: a second line of defence, for errors that quote what was sent."""
    line = str(_JSON(logger, method, event))
    return _ADDRESS.sub("(address)", line) if "@" in line else line


def get(name: str) -> structlog.typing.FilteringBoundLogger:
    """A logger whose lines carry `name`."""
    logger: structlog.typing.FilteringBoundLogger = structlog.get_logger(module=name)
    return logger
