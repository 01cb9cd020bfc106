"""Looks for texts in every byte of every file under a directory, and in what compressed files hold."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from wayline_profile.store.rocksdb import RocksProfileStore

_CHUNK = 8 << 20


def found_in_files(directory: Path, texts: Iterable[str]) -> list[str]:
    """'<file>: <text>' for each text that is in a file, in UTF-8 or UTF-16, in whatever case."""
    needles = {
        text: {text.lower().encode(encoding) for encoding in ("utf-8", "utf-16-le")} for text in dict.fromkeys(texts)
    }
    longest = max(len(one) for forms in needles.values() for one in forms)
    found: list[str] = []
    for path in sorted(directory.rglob("*")):
        if not path.is_file() or path.is_symlink():
            continue
        present: set[str] = set()
        rest = b""
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                window = rest + chunk.lower()
                present |= {text for text, forms in needles.items() if any(one in window for one in forms)}
                rest = window[-longest:]
        found += [f"{path.relative_to(directory)}: {text}" for text in sorted(present)]
    return found


def found_in_rocksdb(directory: Path, texts: Iterable[str]) -> list[str]:
    """The same for what a RocksDB store holds: its blocks are compressed. Only while nobody has it open."""
    store = RocksProfileStore(directory)
    try:
        needles = {text: text.lower().encode() for text in texts}
        return [
            f"{name}: {text}"
            for name, family in store._families.items()
            for key, value in family.items()
            for text, needle in needles.items()
            if needle in key.lower() or needle in value.lower()
        ]
    finally:
        store.close()
