"""`python -m wayline_decision`: one process, or with `WAYLINE_DECISION_WORKERS` several on one port."""

from wayline.settings import read
from wayline_decision.settings import DecisionSettings


def main() -> None:
    """Serve, or supervise those that serve."""
    settings = read(DecisionSettings)
    if settings.decision_workers > 1 and not settings.decision_worker:
        from wayline_decision.workers import supervise

        supervise(settings)
    else:
        from wayline.lifecycle import run
        from wayline_decision.app import build

        facts = {"worker": settings.decision_worker} if settings.decision_worker else {}
        run("decision", settings, build, **facts)


main()
