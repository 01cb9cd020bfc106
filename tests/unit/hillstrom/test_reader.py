from __future__ import annotations

from pathlib import Path

import pytest
from tests.support.trial import lines_of, write_trial

from hillstrom.reader import COLUMNS, BadFile, is_training, read_trial

LINE = "10,2) $100 - $200,142.44,1,0,Surburban,0,Phone,Womens E-Mail,1,1,29.99"


def read(tmp_path: Path, *lines: str, header: str = ",".join(COLUMNS)):
    path = tmp_path / "trial.csv"
    path.write_text("\n".join([header, *lines]) + "\n")
    return read_trial(path)


def test_a_row_is_read_as_what_it_means(tmp_path: Path):
    (customer,) = read(tmp_path, LINE)
    assert (customer.number, customer.recency, customer.history) == (1, 10, 142.44)
    assert (customer.mens, customer.womens, customer.newbie) == (True, False, False)
    assert (customer.zip_code, customer.channel, customer.arm) == ("Surburban", "Phone", "womens-email")
    assert (customer.visit, customer.conversion, customer.spend) == (True, True, 29.99)


@pytest.mark.parametrize(
    ("was", "wrong", "expected"),
    [
        ("10,", "13,", "recency: expected 1 to 12 months, got '13'"),
        ("142.44", "much", "history: expected dollars, 0 or more, got 'much'"),
        ("142.44", "-1", "history: expected dollars, 0 or more, got '-1'"),
        ("142.44", "nan", "history: expected dollars, 0 or more, got 'nan'"),
        ("Surburban", "Moon", "zip_code: expected one of Urban, Surburban, Rural, got 'Moon'"),
        ("Womens E-Mail", "Letter", "segment: expected one of Mens E-Mail, No E-Mail, Womens E-Mail, got 'Letter'"),
        (",1,1,29.99", ",2,1,29.99", "visit: expected one of 0, 1, got '2'"),
        (",1,1,29.99", ",1,0,29.99", "expected spend with a conversion and only then"),
        (",1,1,29.99", ",0,1,29.99", "no conversion without a visit"),
        (",29.99", "", "expected 12 columns, got 11"),
    ],
)
def test_a_bad_cell_is_refused_with_its_line(tmp_path: Path, was: str, wrong: str, expected: str):
    assert was in LINE
    with pytest.raises(BadFile) as refused:
        read(tmp_path, LINE, LINE.replace(was, wrong))
    assert "trial.csv:3: " in str(refused.value)
    assert expected in str(refused.value)


def test_other_columns_are_refused(tmp_path: Path):
    with pytest.raises(BadFile, match="expected the columns recency, history_segment"):
        read(tmp_path, LINE, header="a,b,c")
    with pytest.raises(BadFile, match="No such file"):
        read_trial(tmp_path / "missing.csv")


def test_the_halves_are_even_and_stay_as_they_are(tmp_path: Path):
    customers = write_trial(tmp_path / "trial.csv", 4_000)
    assert 0.47 < sum(one.training for one in customers) / len(customers) < 0.53
    # Pinned: another half would be another experiment.
    assert [is_training(number, LINE) for number in range(1, 9)] == [
        *(False, True, False, True, False, False, False, False),
    ]
    assert [one.training for one in customers] == [
        is_training(number, line) for number, line in enumerate(lines_of(4_000), start=1)
    ]
