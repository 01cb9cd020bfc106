from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from tests.support.catalogs import GOOD, HEAD

from wayline.catalog import files
from wayline.catalog.files import read
from wayline.catalog.load import load, load_text, load_with_sources
from wayline.catalog.problems import MAX_PROBLEMS, CatalogInvalid
from wayline.catalog.source import SourceFile, plain


def problems_of(path: Path) -> list[str]:
    with pytest.raises(CatalogInvalid) as caught:
        load(path)
    return [str(problem) for problem in caught.value.problems]


def write(directory: Path, **texts: str) -> Path:
    for name, text in texts.items():
        (directory / f"{name}.yaml").write_text(text)
    return directory


def test_one_file_with_every_kind_of_trait_and_short_ways_of_writing():
    catalog = load(GOOD / "one_file.yaml")

    assert catalog.traits["orders"].window == 36 * 3_600
    assert catalog.traits["spend"].event == ("Order Completed", "Gift Bought")
    assert catalog.traits["spend"].where == {"currency": "EUR", "test": False}
    ((_, group, action),) = catalog.actions()
    assert [rule.because for rule in group.applicability] == ["Lives somewhere"]
    assert action.suitability[0].rule == "profile.orders < 3"
    assert action.treatments[0].content == {"price": 3, "tags": ["red", 1.5, None, True]}


def test_what_other_readers_take_for_false_or_a_number_is_text():
    catalog = load(GOOD / "one_file.yaml")

    assert catalog.traits["country"].default == "no"
    assert catalog.context["opening"].default == "09:30"


def test_the_files_of_a_directory_belong_together():
    catalog = load(GOOD / "split")

    assert set(catalog.traits) == {"orders", "views"}
    assert [issue.id for issue in catalog.issues] == ["sales", "service"]


def test_the_same_name_in_two_files_is_refused_and_both_are_named(tmp_path: Path):
    write(tmp_path, a="traits:\n  orders: {kind: count, event: A}\n", b="traits:\n  orders: {kind: count, event: B}\n")

    (problem,) = problems_of(tmp_path)

    assert problem.startswith(f"{tmp_path / 'b.yaml'}:2:3: traits.orders: ")
    assert f"{tmp_path / 'a.yaml'}, line 2" in problem


def test_a_single_value_in_two_files_is_refused(tmp_path: Path):
    write(tmp_path, a="name: one\n", b="name: two\n")

    assert ["is also given in" in problem for problem in problems_of(tmp_path)] == [True]


def test_an_action_in_two_files_is_found_with_both_places(tmp_path: Path):
    issue = (
        "issues:\n  - id: {0}\n    groups:\n      - id: g\n        actions:\n"
        "          - {{id: one, treatments: [{{id: a, placements: [web.hero]}}]}}\n"
    )
    write(tmp_path, a=HEAD + issue.format("x"), b=issue.format("y"))

    (problem,) = problems_of(tmp_path)

    assert problem.startswith(f"{tmp_path / 'b.yaml'}:6:18: issues[y].groups[g].actions[one].id: ")
    assert problem.endswith(f"the first is at {tmp_path / 'a.yaml'}:14")


def test_all_problems_of_all_files_come_at_once(tmp_path: Path):
    write(tmp_path, a="valeu: 1\n", b="traits:\n  x: {kind: cuont}\n  y: {kind: top}\n")

    found = problems_of(tmp_path)

    assert [line.split(": ")[0].removeprefix(f"{tmp_path}/") for line in found] == [
        "a.yaml:1:1",
        "b.yaml:2:13",
        "b.yaml:3:6",
    ]


def test_all_files_that_cannot_be_parsed_are_named_at_once(tmp_path: Path):
    write(tmp_path, a="name: 'x\n", b="a: b: c\n")

    assert [Path(line.split(":")[0]).name for line in problems_of(tmp_path)] == ["a.yaml", "b.yaml"]


def test_at_most_a_hundred_problems_are_listed_and_the_others_counted():
    traits = "".join(f"  t{number}: {{kind: count}}\n" for number in range(MAX_PROBLEMS + 7))

    with pytest.raises(CatalogInvalid, match="and 7 more") as caught:
        load_text("traits:\n" + traits)

    assert len(caught.value.problems) == MAX_PROBLEMS
    assert caught.value.left_out == 7


def test_a_path_that_is_not_there(tmp_path: Path):
    assert problems_of(tmp_path / "none.yaml") == [
        f"{tmp_path / 'none.yaml'}: cannot be read: no such file or directory"
    ]


def test_a_directory_without_a_catalogue(tmp_path: Path):
    assert "there is no .yaml file in this directory" in problems_of(tmp_path)[0]


def test_a_file_that_would_silently_not_be_read_is_named(tmp_path: Path):
    (write(tmp_path, a="name: x\n") / "b.yml").write_text("name: y\n")

    assert "rename it to .yaml" in problems_of(tmp_path)[0]


def test_a_file_beyond_the_limit_is_refused_unread(tmp_path: Path):
    with (tmp_path / "large.yaml").open("wb") as file:
        file.truncate(files.MAX_FILE_BYTES + 1)

    assert "expected at most 8 MiB" in problems_of(tmp_path)[0]


def test_files_that_are_too_large_together_are_refused(tmp_path: Path):
    for number in range(5):
        with (tmp_path / f"{number}.yaml").open("wb") as file:
            file.truncate(files.MAX_FILE_BYTES - 1)

    assert "expected at most 32 MiB in all" in problems_of(tmp_path)[0]


def test_too_many_files_are_refused(tmp_path: Path):
    for number in range(files.MAX_FILES + 1):
        (tmp_path / f"{number}.yaml").touch()

    assert "expected at most 500 files, got 501" in problems_of(tmp_path)[0]


def test_text_that_is_not_utf_8(tmp_path: Path):
    (tmp_path / "a.yaml").write_bytes(b"name: x\ntitle: \xff\n")

    assert problems_of(tmp_path)[0].endswith("a.yaml:2:1: this is not UTF-8 text")


def test_a_million_open_brackets_are_refused_and_do_not_crash():
    assert "nested more than 32 levels" in SourceFile("x", b"[" * 1_000_000).problems[0].message


def test_windows_line_ends_do_not_move_the_lines():
    with pytest.raises(CatalogInvalid) as caught:
        load_text("name: x\r\nvaleu: 1\r\n")

    (problem,) = caught.value.problems
    assert (problem.line, problem.column) == (2, 1)


def test_a_place_is_described_by_ids(tmp_path: Path):
    _, sources = load_with_sources(GOOD / "one_file.yaml")

    path = ("issues", 0, "groups", 0, "actions", 0, "treatments", 0, "content")
    assert sources.describe(path) == "issues[sales].groups[shoes].actions[red-shoes].treatments[a].content"
    assert sources.describe(("placements", "web.hero", "fallback")) == "placements[web.hero].fallback"


def test_reading_alone_does_not_judge(tmp_path: Path):
    write(tmp_path, a="anything: [goes]\n")

    assert plain(read(tmp_path).root) == {"anything": ["goes"]}


# Characters that YAML escapes otherwise than JSON, or ends lines with, are left out.
_text = st.text(st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"], exclude_characters="\ufeff\ufffe\uffff"))
_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | _text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_text, inner, max_size=3),
    max_leaves=12,
)


@given(_json)
def test_json_reads_as_itself(value: object):
    file = SourceFile("x", json.dumps({"value": value}, ensure_ascii=False).encode())

    assert file.problems == []
    assert file.root is not None
    assert plain(file.root) == {"value": value}


def is_judged(text: str) -> bool:
    """Whether it loads, or is refused with reasons; anything else is raised."""
    try:
        load_text(text)
    except CatalogInvalid as error:
        return len(error.problems) > 0
    return True


@given(st.dictionaries(st.sampled_from(["name", "traits", "issues", "channels", "context"]), _json, max_size=3))
def test_any_data_is_a_catalogue_or_a_list_of_problems(value: dict[str, object]):
    assert is_judged(yaml.safe_dump(value, allow_unicode=True))


@given(st.text(st.characters(codec="utf-8")) | st.text(alphabet="- :[]{}&*!|>'\"#\n\ta1"))
def test_any_text_is_a_catalogue_or_a_list_of_problems(text: str):
    assert is_judged(text)
