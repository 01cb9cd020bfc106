"""Compiles the hot modules ahead of time with mypyc: `python deploy/compile.py DIR`, then run with PYTHONPATH=DIR.

DIR gets a copy of the packages with a shared library beside each compiled module; the sources stay as they are, and
plain Python runs them just as well, only slower. The images are built this way, and the benchmarks run so. Nothing is
done when DIR holds the same sources already.

Ends with 1 when it cannot be done: a C compiler and Python's headers are needed.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import sys
import sysconfig
import tempfile
from collections.abc import Iterator, Sequence
from hashlib import blake2b
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGES = (
    "shared/wayline",
    "services/ingestion/wayline_ingestion",
    "services/profile/wayline_profile",
    "services/prediction/wayline_prediction",
    "services/decision/wayline_decision",
)
COMPILED = (
    "wayline/direct.py",
    "wayline/direct_call.py",
    "wayline/direct_poller.py",
    "wayline/identifiers.py",
    "wayline/identity.py",
    "wayline_decision/core/*.py",
    "wayline_decision/answers.py",
    "wayline_decision/breaker.py",
    "wayline_decision/budget_tally.py",
    "wayline_decision/budgets.py",
    "wayline_decision/case.py",
    "wayline_decision/chances.py",
    "wayline_decision/codec.py",
    "wayline_decision/deadline.py",
    "wayline_decision/engine.py",
    "wayline_decision/fallback.py",
    "wayline_decision/figures.py",
    "wayline_decision/particulars.py",
    "wayline_decision/reasons.py",
    "wayline_decision/record_writer.py",
    "wayline_decision/records.py",
    "wayline_decision/reservations.py",
    "wayline_decision/states.py",
    "wayline_decision/views.py",
    "wayline_decision/wire.py",
    "wayline_profile/core/*.py",
    "wayline_profile/standings.py",
    "wayline_profile/store/keys.py",
    "wayline_profile/store/rocksdb.py",
)
"""What an event or a decision passes through; not what waits (async generators do not compile) or is read once."""
STAMP = ".compiled"
"""In DIR: the digest of what it was made of."""
_CONFIG = """
[mypy]
plugins = pydantic.mypy
mypy_path = {target}
explicit_package_bases = true
ignore_missing_imports = true
follow_imports_for_stubs = true
[mypy-wayline.v1.*]
follow_imports = silent
"""


def digest_of(packages: Sequence[Path]) -> str:
    """Of all sources, of this file, and of the Python that they are compiled for."""
    digest = blake2b(sys.version.encode() + Path(__file__).read_bytes(), digest_size=16)
    for package in packages:
        for path in sorted(package.rglob("*.py")):
            digest.update(f"{path.relative_to(package.parent)}\0{path.stat().st_size}\0".encode() + path.read_bytes())
    return digest.hexdigest()


def compile_into(target: Path, packages: Sequence[Path]) -> bool:
    """Make `target` anew, unless it is up to date: then False.

    Raises:
        SystemExit: the sources do not compile, or there is no C compiler.
    """
    digest = digest_of(packages)
    stamp = target / STAMP
    if stamp.is_file() and stamp.read_text() == digest:
        return False
    _check_tools()
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f"{target.name}-", dir=target.parent) as scratch:
        made = Path(scratch).resolve() / "made"
        for package in packages:
            shutil.copytree(package, made / package.name, ignore=shutil.ignore_patterns("__pycache__"))
        _compile(made, Path(scratch).resolve())
        (made / STAMP).write_text(digest)
        shutil.rmtree(target, ignore_errors=True)
        made.rename(target)
    return True


def _check_tools() -> None:
    compiler = (os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc").split()[0]
    if not shutil.which(compiler):
        sys.exit(f"compile: no C compiler ({compiler}) was found; install one, or run without compiling")
    if not (Path(sysconfig.get_path("include")) / "Python.h").is_file():
        sys.exit("compile: Python's headers (Python.h) are not installed; install them, or run without compiling")


def _compile(made: Path, scratch: Path) -> None:
    from mypyc.build import mypycify
    from setuptools import Distribution

    sources = [str(path) for path in _sources(made)]
    config = scratch / "mypy.ini"
    config.write_text(_CONFIG.format(target=made))
    with contextlib.chdir(scratch), contextlib.redirect_stdout(sys.stderr):
        options = [f"--config-file={config}", f"--cache-dir={os.devnull}"]
        extensions = mypycify([*options, *sources], opt_level="2", debug_level="0", target_dir=str(scratch / "c"))
        for extension in extensions:
            # A product and a sum in one step round once, and plain Python rounds twice: a replay would differ.
            extension.extra_compile_args = [*extension.extra_compile_args, "-Wno-error", "-ffp-contract=off"]
        build = Distribution({"name": "wayline", "ext_modules": extensions}).get_command_obj("build_ext")
        build.build_lib, build.build_temp = str(made), str(scratch / "o")
        build.parallel = os.cpu_count()
        build.ensure_finalized()
        build.run()


def _sources(made: Path) -> Iterator[Path]:
    for pattern in COMPILED:
        if (made / pattern.partition("/")[0]).is_dir():  # an image has the packages of its role only
            found = sorted(path for path in made.glob(pattern) if path.name != "__init__.py")
            if not found:
                sys.exit(f"compile: {pattern} names no module; correct COMPILED in {__file__}")
            yield from found


def main() -> int:
    """Compile, and say so."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("target", type=Path, help="the directory to make")
    parser.add_argument(
        "--package",
        dest="packages",
        type=Path,
        action="append",
        help="a package's directory; default: all of a checkout",
    )
    arguments = parser.parse_args()
    packages = arguments.packages or [ROOT / package for package in PACKAGES]
    made = compile_into(arguments.target, packages)
    print(f"{arguments.target}: {'compiled' if made else 'up to date'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
