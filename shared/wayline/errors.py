"""Errors whose type says what happens next."""

from __future__ import annotations

from typing import Any, NoReturn

import grpc


class WaylineError(Exception):
    """The root of every error that Wayline raises on purpose."""


class Poison(WaylineError):
    """The message can never be processed. It is parked or left out, with its reason, and never retried."""


class Retryable(WaylineError):
    """The same call may succeed later: a server is away or busy."""


class RequestError(WaylineError):
    """The caller must change something. Carries the gRPC status that says so."""

    status = grpc.StatusCode.INVALID_ARGUMENT


class InvalidField(RequestError):
    """A field does not hold what was expected of it."""

    def __init__(self, field: str, expected: str) -> None:
        """Name the `field` as the caller wrote it (`events[3].user_id`) and say in words what was `expected`."""
        super().__init__(f"{field}: {expected}")
        self.field = field
        self.expected = expected


class LimitExceeded(RequestError):
    """A limit was hit; nothing of the call was done."""

    status = grpc.StatusCode.RESOURCE_EXHAUSTED


class NotFound(RequestError):
    """What was named is not there."""

    status = grpc.StatusCode.NOT_FOUND


class Precondition(RequestError):
    """The system is not in the state that the call needs."""

    status = grpc.StatusCode.FAILED_PRECONDITION


def abort(context: grpc.ServicerContext, error: WaylineError) -> NoReturn:
    """End a synchronous call with the status that belongs to `error`."""
    context.abort(status_of(error), str(error))
    raise AssertionError("abort returns only to a mocked context")


async def abort_async(context: grpc.aio.ServicerContext[Any, Any], error: WaylineError) -> NoReturn:
    """End an asyncio call with the status that belongs to `error`."""
    await context.abort(status_of(error), str(error))
    raise AssertionError("abort returns only to a mocked context")


def status_of(error: WaylineError) -> grpc.StatusCode:
    """The gRPC status of an error: the caller's to mend, to be tried again, or ours."""
    if isinstance(error, RequestError):
        return error.status
    return grpc.StatusCode.UNAVAILABLE if isinstance(error, Retryable) else grpc.StatusCode.INTERNAL
