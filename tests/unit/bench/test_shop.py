"""What `bench collect` folds: enough traits and audiences, which pass the checks that a real catalogue must pass."""

from __future__ import annotations

from wayline.catalog.check import check
from wayline_bench import shop


def test_the_catalogue_has_twenty_computed_traits_and_five_audiences_and_can_be_applied() -> None:
    catalog = shop.segmented_catalog()
    assert check(catalog) == []
    assert shop.computed_traits(catalog) == 20
    assert catalog.lifecycle is None
    assert len(catalog.audiences) == 5
