"""Reads a catalogue from YAML: one file, or a directory whose *.yaml files belong together.

>>> catalog = load(Path("shop/"))     # raises CatalogInvalid with its problems, by file and line

Problems come in rounds, each once the round before finds none: files that are no YAML, then values of the wrong shape,
then rules and names that do not fit together.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from pydantic import ValidationError

from wayline.catalog.check import check
from wayline.catalog.files import Sources, merge, read
from wayline.catalog.findings import Finding
from wayline.catalog.model import Catalog
from wayline.catalog.problems import CatalogInvalid, Problem
from wayline.catalog.source import SourceFile, plain
from wayline.catalog.wording import errors_in_words


def load(path: Path) -> Catalog:
    """Read and check the catalogue at `path`, a YAML file or a directory of them.

    Raises:
        CatalogInvalid: it cannot be read, or something in it is wrong.
    """
    return load_with_sources(path)[0]


def load_with_sources(path: Path) -> tuple[Catalog, Sources]:
    """As `load`, and where each part is written."""
    sources = read(path)
    return build(sources), sources


def load_text(text: str, name: str = "catalog.yaml") -> Catalog:
    """As `load`, from a text; problems call it `name`.

    Raises:
        CatalogInvalid: something in it is wrong.
    """
    return build(merge(name, [SourceFile(name, text.encode())]))


def build(sources: Sources) -> Catalog:
    """Make the catalogue and check it as a whole.

    Raises:
        CatalogInvalid: something in it is wrong.
    """
    try:
        catalog = Catalog.model_validate(plain(sources.root))
    except ValidationError as error:
        found = errors_in_words(sources.root, error.errors(include_url=False))
        raise _invalid((sources.problem(path, words, at_key=key) for path, key, words in found)) from None
    findings = check(catalog)
    if findings:
        raise invalid(sources, findings)
    return catalog


def invalid(sources: Sources, findings: Iterable[Finding]) -> CatalogInvalid:
    """The error that says where each finding is written."""
    return _invalid(_problem_of(sources, finding) for finding in findings)


def _problem_of(sources: Sources, finding: Finding) -> Problem:
    message = finding.message
    if finding.first is not None:
        first = sources.problem(finding.first, "")
        message = f"{message}; the first is at {first.file}:{first.line}"
    return sources.problem(finding.path, message, at_key=finding.at_key, within=finding.within)


def _invalid(problems: Iterable[Problem]) -> CatalogInvalid:
    return CatalogInvalid(sorted(problems, key=lambda problem: (problem.file, problem.line, problem.column)))
