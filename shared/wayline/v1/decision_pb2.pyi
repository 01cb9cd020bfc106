import datetime

from google.protobuf import struct_pb2 as _struct_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from wayline.v1 import events_pb2 as _events_pb2
from wayline.v1 import profile_pb2 as _profile_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Personalisation(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    PERSONALISATION_UNSPECIFIED: _ClassVar[Personalisation]
    PERSONALISATION_FULL: _ClassVar[Personalisation]
    PERSONALISATION_UNKNOWN_CUSTOMER: _ClassVar[Personalisation]
    PERSONALISATION_NO_CONSENT: _ClassVar[Personalisation]
    PERSONALISATION_UNAVAILABLE: _ClassVar[Personalisation]

class Stage(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    STAGE_UNSPECIFIED: _ClassVar[Stage]
    STAGE_CONSENT: _ClassVar[Stage]
    STAGE_ELIGIBILITY: _ClassVar[Stage]
    STAGE_APPLICABILITY: _ClassVar[Stage]
    STAGE_SUITABILITY: _ClassVar[Stage]
    STAGE_ARBITRATION: _ClassVar[Stage]
    STAGE_SCHEDULE: _ClassVar[Stage]
    STAGE_BUDGET: _ClassVar[Stage]
    STAGE_CONTACT: _ClassVar[Stage]
    STAGE_EXPERIMENT: _ClassVar[Stage]
    STAGE_MATURITY: _ClassVar[Stage]
    STAGE_FLOOR: _ClassVar[Stage]
    STAGE_COMPANY: _ClassVar[Stage]
PERSONALISATION_UNSPECIFIED: Personalisation
PERSONALISATION_FULL: Personalisation
PERSONALISATION_UNKNOWN_CUSTOMER: Personalisation
PERSONALISATION_NO_CONSENT: Personalisation
PERSONALISATION_UNAVAILABLE: Personalisation
STAGE_UNSPECIFIED: Stage
STAGE_CONSENT: Stage
STAGE_ELIGIBILITY: Stage
STAGE_APPLICABILITY: Stage
STAGE_SUITABILITY: Stage
STAGE_ARBITRATION: Stage
STAGE_SCHEDULE: Stage
STAGE_BUDGET: Stage
STAGE_CONTACT: Stage
STAGE_EXPERIMENT: Stage
STAGE_MATURITY: Stage
STAGE_FLOOR: Stage
STAGE_COMPANY: Stage

class DecideRequest(_message.Message):
    __slots__ = ("customer", "placements", "context", "at_least", "explain")
    CUSTOMER_FIELD_NUMBER: _ClassVar[int]
    PLACEMENTS_FIELD_NUMBER: _ClassVar[int]
    CONTEXT_FIELD_NUMBER: _ClassVar[int]
    AT_LEAST_FIELD_NUMBER: _ClassVar[int]
    EXPLAIN_FIELD_NUMBER: _ClassVar[int]
    customer: _events_pb2.Identifier
    placements: _containers.RepeatedCompositeFieldContainer[PlacementRequest]
    context: _struct_pb2.Struct
    at_least: _containers.RepeatedCompositeFieldContainer[_events_pb2.EventToken]
    explain: bool
    def __init__(self, customer: _Optional[_Union[_events_pb2.Identifier, _Mapping]] = ..., placements: _Optional[_Iterable[_Union[PlacementRequest, _Mapping]]] = ..., context: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., at_least: _Optional[_Iterable[_Union[_events_pb2.EventToken, _Mapping]]] = ..., explain: _Optional[bool] = ...) -> None: ...

class PlacementRequest(_message.Message):
    __slots__ = ("placement", "limit")
    PLACEMENT_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    placement: str
    limit: int
    def __init__(self, placement: _Optional[str] = ..., limit: _Optional[int] = ...) -> None: ...

class DecideResponse(_message.Message):
    __slots__ = ("decision_id", "placements", "stale", "personalisation", "catalog_revision", "warnings", "experiments")
    class ExperimentsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    DECISION_ID_FIELD_NUMBER: _ClassVar[int]
    PLACEMENTS_FIELD_NUMBER: _ClassVar[int]
    STALE_FIELD_NUMBER: _ClassVar[int]
    PERSONALISATION_FIELD_NUMBER: _ClassVar[int]
    CATALOG_REVISION_FIELD_NUMBER: _ClassVar[int]
    WARNINGS_FIELD_NUMBER: _ClassVar[int]
    EXPERIMENTS_FIELD_NUMBER: _ClassVar[int]
    decision_id: str
    placements: _containers.RepeatedCompositeFieldContainer[PlacementDecision]
    stale: bool
    personalisation: Personalisation
    catalog_revision: int
    warnings: _containers.RepeatedScalarFieldContainer[str]
    experiments: _containers.ScalarMap[str, str]
    def __init__(self, decision_id: _Optional[str] = ..., placements: _Optional[_Iterable[_Union[PlacementDecision, _Mapping]]] = ..., stale: _Optional[bool] = ..., personalisation: _Optional[_Union[Personalisation, str]] = ..., catalog_revision: _Optional[int] = ..., warnings: _Optional[_Iterable[str]] = ..., experiments: _Optional[_Mapping[str, str]] = ...) -> None: ...

class PlacementDecision(_message.Message):
    __slots__ = ("placement", "selections", "fallback", "reasons", "dropped")
    PLACEMENT_FIELD_NUMBER: _ClassVar[int]
    SELECTIONS_FIELD_NUMBER: _ClassVar[int]
    FALLBACK_FIELD_NUMBER: _ClassVar[int]
    REASONS_FIELD_NUMBER: _ClassVar[int]
    DROPPED_FIELD_NUMBER: _ClassVar[int]
    placement: str
    selections: _containers.RepeatedCompositeFieldContainer[Selection]
    fallback: _struct_pb2.Struct
    reasons: _containers.RepeatedScalarFieldContainer[str]
    dropped: _containers.RepeatedCompositeFieldContainer[Drop]
    def __init__(self, placement: _Optional[str] = ..., selections: _Optional[_Iterable[_Union[Selection, _Mapping]]] = ..., fallback: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., reasons: _Optional[_Iterable[str]] = ..., dropped: _Optional[_Iterable[_Union[Drop, _Mapping]]] = ...) -> None: ...

class Selection(_message.Message):
    __slots__ = ("action", "treatment", "content", "rank", "score", "reasons", "selection_probability")
    ACTION_FIELD_NUMBER: _ClassVar[int]
    TREATMENT_FIELD_NUMBER: _ClassVar[int]
    CONTENT_FIELD_NUMBER: _ClassVar[int]
    RANK_FIELD_NUMBER: _ClassVar[int]
    SCORE_FIELD_NUMBER: _ClassVar[int]
    REASONS_FIELD_NUMBER: _ClassVar[int]
    SELECTION_PROBABILITY_FIELD_NUMBER: _ClassVar[int]
    action: str
    treatment: str
    content: _struct_pb2.Struct
    rank: int
    score: Score
    reasons: _containers.RepeatedScalarFieldContainer[str]
    selection_probability: float
    def __init__(self, action: _Optional[str] = ..., treatment: _Optional[str] = ..., content: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., rank: _Optional[int] = ..., score: _Optional[_Union[Score, _Mapping]] = ..., reasons: _Optional[_Iterable[str]] = ..., selection_probability: _Optional[float] = ...) -> None: ...

class Score(_message.Message):
    __slots__ = ("propensity", "context", "value", "lever", "priority", "propensity_source", "unsmoothed_propensity", "drawn_propensity")
    PROPENSITY_FIELD_NUMBER: _ClassVar[int]
    CONTEXT_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    LEVER_FIELD_NUMBER: _ClassVar[int]
    PRIORITY_FIELD_NUMBER: _ClassVar[int]
    PROPENSITY_SOURCE_FIELD_NUMBER: _ClassVar[int]
    UNSMOOTHED_PROPENSITY_FIELD_NUMBER: _ClassVar[int]
    DRAWN_PROPENSITY_FIELD_NUMBER: _ClassVar[int]
    propensity: float
    context: float
    value: float
    lever: float
    priority: float
    propensity_source: str
    unsmoothed_propensity: float
    drawn_propensity: float
    def __init__(self, propensity: _Optional[float] = ..., context: _Optional[float] = ..., value: _Optional[float] = ..., lever: _Optional[float] = ..., priority: _Optional[float] = ..., propensity_source: _Optional[str] = ..., unsmoothed_propensity: _Optional[float] = ..., drawn_propensity: _Optional[float] = ...) -> None: ...

class Drop(_message.Message):
    __slots__ = ("action", "treatment", "stage", "rule", "reason", "change")
    ACTION_FIELD_NUMBER: _ClassVar[int]
    TREATMENT_FIELD_NUMBER: _ClassVar[int]
    STAGE_FIELD_NUMBER: _ClassVar[int]
    RULE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    CHANGE_FIELD_NUMBER: _ClassVar[int]
    action: str
    treatment: str
    stage: Stage
    rule: str
    reason: str
    change: str
    def __init__(self, action: _Optional[str] = ..., treatment: _Optional[str] = ..., stage: _Optional[_Union[Stage, str]] = ..., rule: _Optional[str] = ..., reason: _Optional[str] = ..., change: _Optional[str] = ...) -> None: ...

class DecideBatchRequest(_message.Message):
    __slots__ = ("requests",)
    REQUESTS_FIELD_NUMBER: _ClassVar[int]
    requests: _containers.RepeatedCompositeFieldContainer[DecideRequest]
    def __init__(self, requests: _Optional[_Iterable[_Union[DecideRequest, _Mapping]]] = ...) -> None: ...

class DecideBatchResponse(_message.Message):
    __slots__ = ("results",)
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    results: _containers.RepeatedCompositeFieldContainer[DecideBatchResult]
    def __init__(self, results: _Optional[_Iterable[_Union[DecideBatchResult, _Mapping]]] = ...) -> None: ...

class DecideBatchResult(_message.Message):
    __slots__ = ("decision", "error")
    DECISION_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    decision: DecideResponse
    error: str
    def __init__(self, decision: _Optional[_Union[DecideResponse, _Mapping]] = ..., error: _Optional[str] = ...) -> None: ...

class ExplainRequest(_message.Message):
    __slots__ = ("decision_id",)
    DECISION_ID_FIELD_NUMBER: _ClassVar[int]
    decision_id: str
    def __init__(self, decision_id: _Optional[str] = ...) -> None: ...

class ExplainResponse(_message.Message):
    __slots__ = ("record", "decision", "reproduced", "funnel", "features", "priority_rule", "smoothing")
    RECORD_FIELD_NUMBER: _ClassVar[int]
    DECISION_FIELD_NUMBER: _ClassVar[int]
    REPRODUCED_FIELD_NUMBER: _ClassVar[int]
    FUNNEL_FIELD_NUMBER: _ClassVar[int]
    FEATURES_FIELD_NUMBER: _ClassVar[int]
    PRIORITY_RULE_FIELD_NUMBER: _ClassVar[int]
    SMOOTHING_FIELD_NUMBER: _ClassVar[int]
    record: DecisionRecord
    decision: DecideResponse
    reproduced: bool
    funnel: _containers.RepeatedCompositeFieldContainer[FunnelStep]
    features: _containers.RepeatedCompositeFieldContainer[FeatureEffect]
    priority_rule: PriorityRule
    smoothing: _containers.RepeatedCompositeFieldContainer[PropensitySmoothing]
    def __init__(self, record: _Optional[_Union[DecisionRecord, _Mapping]] = ..., decision: _Optional[_Union[DecideResponse, _Mapping]] = ..., reproduced: _Optional[bool] = ..., funnel: _Optional[_Iterable[_Union[FunnelStep, _Mapping]]] = ..., features: _Optional[_Iterable[_Union[FeatureEffect, _Mapping]]] = ..., priority_rule: _Optional[_Union[PriorityRule, _Mapping]] = ..., smoothing: _Optional[_Iterable[_Union[PropensitySmoothing, _Mapping]]] = ...) -> None: ...

class PriorityRule(_message.Message):
    __slots__ = ("exponents", "formula", "control")
    EXPONENTS_FIELD_NUMBER: _ClassVar[int]
    FORMULA_FIELD_NUMBER: _ClassVar[int]
    CONTROL_FIELD_NUMBER: _ClassVar[int]
    exponents: PriorityExponents
    formula: str
    control: str
    def __init__(self, exponents: _Optional[_Union[PriorityExponents, _Mapping]] = ..., formula: _Optional[str] = ..., control: _Optional[str] = ...) -> None: ...

class PriorityExponents(_message.Message):
    __slots__ = ("propensity", "context", "value", "lever")
    PROPENSITY_FIELD_NUMBER: _ClassVar[int]
    CONTEXT_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    LEVER_FIELD_NUMBER: _ClassVar[int]
    propensity: float
    context: float
    value: float
    lever: float
    def __init__(self, propensity: _Optional[float] = ..., context: _Optional[float] = ..., value: _Optional[float] = ..., lever: _Optional[float] = ...) -> None: ...

class PropensitySmoothing(_message.Message):
    __slots__ = ("action", "evidence", "prior_evidence", "base")
    ACTION_FIELD_NUMBER: _ClassVar[int]
    EVIDENCE_FIELD_NUMBER: _ClassVar[int]
    PRIOR_EVIDENCE_FIELD_NUMBER: _ClassVar[int]
    BASE_FIELD_NUMBER: _ClassVar[int]
    action: str
    evidence: float
    prior_evidence: float
    base: float
    def __init__(self, action: _Optional[str] = ..., evidence: _Optional[float] = ..., prior_evidence: _Optional[float] = ..., base: _Optional[float] = ...) -> None: ...

class FunnelStep(_message.Message):
    __slots__ = ("placement", "stage", "entered", "dropped")
    PLACEMENT_FIELD_NUMBER: _ClassVar[int]
    STAGE_FIELD_NUMBER: _ClassVar[int]
    ENTERED_FIELD_NUMBER: _ClassVar[int]
    DROPPED_FIELD_NUMBER: _ClassVar[int]
    placement: str
    stage: Stage
    entered: int
    dropped: int
    def __init__(self, placement: _Optional[str] = ..., stage: _Optional[_Union[Stage, str]] = ..., entered: _Optional[int] = ..., dropped: _Optional[int] = ...) -> None: ...

class FeatureEffect(_message.Message):
    __slots__ = ("action", "feature", "value", "effect")
    ACTION_FIELD_NUMBER: _ClassVar[int]
    FEATURE_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    EFFECT_FIELD_NUMBER: _ClassVar[int]
    action: str
    feature: str
    value: float
    effect: float
    def __init__(self, action: _Optional[str] = ..., feature: _Optional[str] = ..., value: _Optional[float] = ..., effect: _Optional[float] = ...) -> None: ...

class DecisionRecord(_message.Message):
    __slots__ = ("decision_id", "request", "view", "personalisation", "catalog_revision", "model_versions", "seed", "decided_at", "selections", "stale", "notes", "propensities", "experiments", "exhausted", "reserved")
    class ModelVersionsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    class ExperimentsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    DECISION_ID_FIELD_NUMBER: _ClassVar[int]
    REQUEST_FIELD_NUMBER: _ClassVar[int]
    VIEW_FIELD_NUMBER: _ClassVar[int]
    PERSONALISATION_FIELD_NUMBER: _ClassVar[int]
    CATALOG_REVISION_FIELD_NUMBER: _ClassVar[int]
    MODEL_VERSIONS_FIELD_NUMBER: _ClassVar[int]
    SEED_FIELD_NUMBER: _ClassVar[int]
    DECIDED_AT_FIELD_NUMBER: _ClassVar[int]
    SELECTIONS_FIELD_NUMBER: _ClassVar[int]
    STALE_FIELD_NUMBER: _ClassVar[int]
    NOTES_FIELD_NUMBER: _ClassVar[int]
    PROPENSITIES_FIELD_NUMBER: _ClassVar[int]
    EXPERIMENTS_FIELD_NUMBER: _ClassVar[int]
    EXHAUSTED_FIELD_NUMBER: _ClassVar[int]
    RESERVED_FIELD_NUMBER: _ClassVar[int]
    decision_id: str
    request: DecideRequest
    view: _profile_pb2.CustomerView
    personalisation: Personalisation
    catalog_revision: int
    model_versions: _containers.ScalarMap[str, int]
    seed: int
    decided_at: _timestamp_pb2.Timestamp
    selections: _containers.RepeatedCompositeFieldContainer[RecordedSelection]
    stale: bool
    notes: _containers.RepeatedScalarFieldContainer[str]
    propensities: bytes
    experiments: _containers.ScalarMap[str, str]
    exhausted: _containers.RepeatedScalarFieldContainer[str]
    reserved: _containers.RepeatedCompositeFieldContainer[_profile_pb2.Contact]
    def __init__(self, decision_id: _Optional[str] = ..., request: _Optional[_Union[DecideRequest, _Mapping]] = ..., view: _Optional[_Union[_profile_pb2.CustomerView, _Mapping]] = ..., personalisation: _Optional[_Union[Personalisation, str]] = ..., catalog_revision: _Optional[int] = ..., model_versions: _Optional[_Mapping[str, int]] = ..., seed: _Optional[int] = ..., decided_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., selections: _Optional[_Iterable[_Union[RecordedSelection, _Mapping]]] = ..., stale: _Optional[bool] = ..., notes: _Optional[_Iterable[str]] = ..., propensities: _Optional[bytes] = ..., experiments: _Optional[_Mapping[str, str]] = ..., exhausted: _Optional[_Iterable[str]] = ..., reserved: _Optional[_Iterable[_Union[_profile_pb2.Contact, _Mapping]]] = ...) -> None: ...

class RecordedSelection(_message.Message):
    __slots__ = ("placement", "action", "treatment", "priority", "propensity", "selection_probability")
    PLACEMENT_FIELD_NUMBER: _ClassVar[int]
    ACTION_FIELD_NUMBER: _ClassVar[int]
    TREATMENT_FIELD_NUMBER: _ClassVar[int]
    PRIORITY_FIELD_NUMBER: _ClassVar[int]
    PROPENSITY_FIELD_NUMBER: _ClassVar[int]
    SELECTION_PROBABILITY_FIELD_NUMBER: _ClassVar[int]
    placement: str
    action: str
    treatment: str
    priority: float
    propensity: float
    selection_probability: float
    def __init__(self, placement: _Optional[str] = ..., action: _Optional[str] = ..., treatment: _Optional[str] = ..., priority: _Optional[float] = ..., propensity: _Optional[float] = ..., selection_probability: _Optional[float] = ...) -> None: ...

class DecisionRecordBundle(_message.Message):
    __slots__ = ("records",)
    RECORDS_FIELD_NUMBER: _ClassVar[int]
    records: _containers.RepeatedCompositeFieldContainer[DecisionRecord]
    def __init__(self, records: _Optional[_Iterable[_Union[DecisionRecord, _Mapping]]] = ...) -> None: ...
