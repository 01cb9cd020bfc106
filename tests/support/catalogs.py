"""Where the tests' catalogues are, and large ones made on the spot."""

from __future__ import annotations

from pathlib import Path

FIXTURES = Path(__file__).parents[1] / "fixtures" / "catalogs"
GOOD = FIXTURES / "good"
BROKEN = FIXTURES / "broken"

HEAD = """\
channels: {web: {}}
placements: {web.hero: {channel: web}, web.list: {channel: web, slots: 4}}
traits:
  orders: {kind: count, event: Order Completed}
  spend: {kind: sum, event: Order Completed, property: total}
  colours: {kind: affinity, event: Product Viewed, property: color, half_life: 7d}
context:
  hour: {type: integer}
"""


def large(actions: int, *, rules: int = 300, treatments: int = 1) -> str:
    """A catalogue of so many actions, which share so many different rules."""
    lines = [HEAD, "issues:\n  - id: sales\n    groups:\n      - id: all\n        actions:\n"]
    for number in range(actions):
        lines.append(
            f"          - id: action-{number}\n"
            f"            value: {number % 50}\n"
            f"            eligibility:\n"
            f"              - rule: profile.spend >= {number % rules}.0\n"
            f"                because: Spent at least {number % rules}\n"
            f'            context_weight: 1.0 + profile.colours[?"red"].orValue(0.0)\n'
            f"            treatments:\n"
        )
        lines += [
            f"              - {{id: t{treatment}, placements: [web.hero, web.list], content: {{a: 1}}}}\n"
            for treatment in range(treatments)
        ]
    return "".join(lines)
