"""What may happen to a model's versions: pure functions from one `Model` message to the next."""

from __future__ import annotations

from wayline.errors import LimitExceeded, NotFound, Precondition
from wayline.v1 import prediction_pb2

MAX_VERSIONS = 1_000
MAX_FORMER_CHAMPIONS = 100


def version_of(model: prediction_pb2.Model, version: int) -> prediction_pb2.ModelVersion:
    """One version of `model`.

    Raises:
        NotFound: there is no such version, or it was dropped because newer ones needed its room.
    """
    for one in model.versions:
        if one.version == version:
            return one
    known = f"{model.versions[0].version} to {model.versions[-1].version}" if model.versions else "none"
    raise NotFound(f"model '{model.name}' has no version {version} (versions: {known})")


def next_version(model: prediction_pb2.Model) -> int:
    """The number of the next version, from 1. A number is never used twice."""
    return model.versions[-1].version + 1 if model.versions else 1


def promoted(model: prediction_pb2.Model, version: int) -> prediction_pb2.Model:
    """`model` with `version` (0: the newest) as its champion. Promoting the champion changes nothing.

    Raises:
        NotFound: there is no such version.
    """
    chosen = version_of(model, version or next_version(model) - 1).version
    result = _copy(model)
    if result.champion not in (0, chosen):
        result.former_champions.append(result.champion)
        del result.former_champions[:-MAX_FORMER_CHAMPIONS]
    result.champion = chosen
    return result


def rolled_back(model: prediction_pb2.Model) -> prediction_pb2.Model:
    """`model` with its former champion as the champion; a second rollback goes back one further.

    Raises:
        Precondition: there is no former champion.
    """
    if not model.former_champions:
        raise Precondition(f"model '{model.name}' has no former champion to roll back to")
    result = _copy(model)
    result.champion = result.former_champions.pop()
    return result


def thinned(model: prediction_pb2.Model, count: int) -> prediction_pb2.Model:
    """`model` without its `count` oldest versions that nothing needs.

    The newest version and the champion always stay. Versions that never served go first, then former champions.

    Raises:
        LimitExceeded: only the newest version and the champion are left.
    """
    former = set(model.former_champions)
    kept = {model.champion, model.versions[-1].version}
    droppable = [one.version for one in model.versions if one.version not in kept]
    if not droppable:
        raise LimitExceeded(f"manifest: the versions of model '{model.name}' do not fit the registry; make it smaller")
    dropped = set(sorted(droppable, key=lambda version: (version in former, version))[:count])
    result = prediction_pb2.Model(name=model.name, champion=model.champion)
    result.versions.extend(one for one in model.versions if one.version not in dropped)
    result.former_champions.extend(version for version in model.former_champions if version not in dropped)
    return result


def _copy(model: prediction_pb2.Model) -> prediction_pb2.Model:
    copy = prediction_pb2.Model()
    copy.CopyFrom(model)
    return copy
