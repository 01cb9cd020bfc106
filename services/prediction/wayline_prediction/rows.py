"""Rows of inputs: from the numbers of a request, or from the views of customers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol

import grpc
import numpy as np
from google.protobuf.message import DecodeError, Message

from wayline.catalog.consent import Said
from wayline.catalog.labels import labelled_context, without
from wayline.errors import InvalidField, Poison, Retryable
from wayline.scoring import InputEncoder, Matrix
from wayline.v1 import prediction_pb2, profile_pb2, profile_pb2_grpc
from wayline_prediction.catalogs import CurrentCatalog

_LARGEST = float(np.finfo(np.float32).max)
_PROFILE_SECONDS = 5.0
_AWAY = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.RESOURCE_EXHAUSTED)
Views = Mapping[bytes, profile_pb2.CustomerView]


class ViewSource(Protocol):
    """Views by identity key. Customers that are not known are left out; that is no error."""

    async def views(self, identity_keys: Sequence[bytes]) -> Views:
        """The views of these customers."""


class ProfileViews:
    """Asks the profile service."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        """Use `channel`, which its owner closes."""
        self._stub = profile_pb2_grpc.ProfileServiceStub(channel)

    async def views(self, identity_keys: Sequence[bytes]) -> Views:
        """The views of at most 2,000 customers.

        Raises:
            Retryable: the profile service is away.
        """
        request = profile_pb2.BatchGetViewsRequest(identity_keys=identity_keys)
        try:
            response = await self._stub.BatchGetViews(request, timeout=_PROFILE_SECONDS)
        except grpc.aio.AioRpcError as error:
            if error.code() in _AWAY:
                raise Retryable(f"the profile service cannot be reached: {error.details()}") from error
            raise
        return {key: view for view in response.views for key in view.identity_keys}


def rows_given(rows: Sequence[prediction_pb2.InputRow], width: int) -> Matrix:
    """The rows of a request: [rows, width], float32.

    Raises:
        InvalidField: a row has another width, or holds what float32 cannot.
    """
    for position, row in enumerate(rows):
        if len(row.values) != width:
            raise InvalidField(
                f"rows[{position}].values", f"expected {width}, as the model has inputs, got {len(row.values)}"
            )
    matrix = np.array([row.values for row in rows], np.float64)
    outside = np.argwhere(~(np.abs(matrix) <= _LARGEST))
    if len(outside):
        row_at, column = outside[0].tolist()
        raise InvalidField(
            f"rows[{row_at}].values[{column}]", f"expected a finite float32, got {matrix[row_at, column]}"
        )
    return matrix.astype(np.float32)


def rows_of(
    identity_keys: Sequence[bytes],
    views: Views,
    context: Message,
    encoder: InputEncoder,
    current: CurrentCatalog,
    now: datetime,
) -> Matrix:
    """The rows of customers: [customers, width], float32.

    Who is not known, or has not allowed personalisation, is encoded with the declared defaults; without consent that
    goes for context fields that have labels, too.

    Raises:
        Poison: a view cannot be read.
    """
    rows = []
    stranger, bare = profile_pb2.CustomerView(), without(context, labelled_context(current.catalog))
    for key in identity_keys:
        view = views.get(key, stranger)
        allowed = current.catalog.allows(current.catalog.personalisation, _said_by(view))
        traits, usable = (view.traits, context) if allowed else (b"", bare)
        try:
            profile = current.schema.traits.FromString(traits)
        except DecodeError as error:
            raise Poison(f"the view of a customer cannot be read: {error}") from error
        rows.append(encoder.encode(profile, usable, current.compiler.activation(profile, usable, now)))
    return np.stack(rows)


def _said_by(view: profile_pb2.CustomerView) -> Said:
    return Said(view.consents, view.region, view.opted_out, view.restricted)
