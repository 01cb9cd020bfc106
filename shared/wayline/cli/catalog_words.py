"""What a catalogue declares, each in a short line for the terminal."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from wayline.catalog.arbitration import Arbitration, Exploration, Floors
from wayline.catalog.contact import Budget, Cap, ContactPolicy, Hours, QuietHours, Schedule, Suppression
from wayline.catalog.experiments import Arm, Experiment

_DAY, _HOUR, _MINUTE = 86_400, 3_600, 60


def duration(seconds: int) -> str:
    """Seconds as the catalogue writes them: 7d, 36h, 30m, 90s."""
    for size, unit in ((_DAY, "d"), (_HOUR, "h"), (_MINUTE, "m")):
        if seconds % size == 0:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"


def share(value: float) -> str:
    """0.05 as 5 %."""
    return f"{100 * value:g} %"


def schedule(one: Schedule) -> str:
    """From when to when, on which days, at which hours."""
    parts = [
        f"from {_moment(one.starts)}" if one.starts else "",
        f"until {_moment(one.ends)}" if one.ends else "",
        ", ".join(one.days),
        ", ".join(map(_hours, one.hours)),
        f"({one.timezone})" if one.timezone else "",
    ]
    return " ".join(part for part in parts if part)


def quiet_hours(one: QuietHours | None) -> str:
    """When nothing goes out; empty for never."""
    return f"{_hours(one)} ({one.timezone or 'catalogue'})" if one else ""


def budget(one: Budget) -> str:
    """How often in all and in a day."""
    parts = [f"{one.total:,} in all" if one.total else "", f"{one.per_day:,} a day" if one.per_day else ""]
    return ", ".join(part for part in parts if part)


def contact(policy: ContactPolicy) -> Iterator[tuple[str, str, str]]:
    """The kind of each cap and suppression, what it says, and its reason."""
    for cap in policy.caps:
        yield "cap", _cap(cap), cap.because
    for suppression in policy.suppressions:
        yield "suppression", _suppression(suppression), suppression.because


def floors(one: Floors) -> str:
    """Below what an action is left out; empty when nothing is."""
    parts = [
        f"propensity at least {one.propensity:g}" if one.propensity else "",
        f"priority at least {one.priority:g}" if one.priority else "",
    ]
    return ", ".join(part for part in parts if part)


def exploration(one: Exploration) -> str:
    """The method, and what sets it; empty for none."""
    match one.method:
        case "none":
            return ""
        case "epsilon_greedy":
            return f"epsilon_greedy, {share(one.epsilon)} by lot"
        case "squarecb":
            return f"squarecb, gamma {one.gamma:g}"
        case _:
            return one.method


def arbitration(one: Arbitration) -> Iterator[tuple[str, str]]:
    """What differs from the plain product, and what may stand side by side."""
    exponents = {name: getattr(one, name) for name in ("propensity", "context", "value", "lever")}
    if one.formula:
        yield "formula", " ".join(one.formula.split())
    elif any(exponent != 1 for exponent in exponents.values()):
        yield "formula", " x ".join(f"{name}^{exponent:g}" for name, exponent in exponents.items() if exponent)
    if one.smoothing:
        yield "smoothing", f"base rate and model weigh the same at {one.smoothing.evidence:g} responses"
    if one.maturity:
        start, positives = share(one.maturity.start), one.maturity.positives
        yield "maturity", f"new outbound actions reach {start}, all from {positives:,} positive responses on"
    if one.floors != Floors():
        yield "floors", floors(one.floors)
    for bundle in one.bundles:
        yield "bundle", f"{bundle.id}: {', '.join(bundle.actions)}"
    for exclusion in one.exclusions:
        yield "exclusion", f"{exclusion.id}: one at most of {', '.join(exclusion.actions)}"


def experiment(one: Experiment) -> str:
    """Who takes part, and the arms."""
    arms = ", ".join(f"{name} {share(arm.share)}{_arm(arm)}" for name, arm in one.arms.items())
    where = f" in {', '.join(one.placements)}" if one.placements else ""
    return f"{one.id}: {share(one.share)} of layer {one.layer}{where}: {arms}"


def _arm(arm: Arm) -> str:
    parts = [
        f"control: {arm.control}" if arm.control else "",
        f"formula: {' '.join(arm.formula.split())}" if arm.formula else "",
        *(f"{model}: {other}" for model, other in arm.models.items()),
        f"catalogue: revision {arm.catalog}" if arm.catalog else "",
    ]
    told = "; ".join(part for part in parts if part)
    return f" ({told})" if told else ""


def _cap(cap: Cap) -> str:
    span = f"within {duration(cap.window)}" if cap.window else f"a {cap.period}"
    on = f" on {', '.join(cap.channels)}" if cap.channels else ""
    return f"{cap.limit} {' or '.join(cap.outcome)} per {cap.per} {span}{on}"


def _suppression(one: Suppression) -> str:
    return (
        f"after {one.after} {' or '.join(one.outcome)} within {duration(one.window)} the {one.per} pauses for "
        f"{duration(one.pause)}"
    )


def _hours(one: Hours) -> str:
    return f"{one.start} to {one.end}"


def _moment(when: datetime) -> str:
    """Midnight is a date."""
    offset = when.strftime("%z")
    return f"{when:%Y-%m-%d}{'' if (when.hour, when.minute) == (0, 0) else f' {when:%H:%M}'}{offset}"
