"""Signed receipts of erasures: what was removed where, by Ed25519 over JSON.

The signature is over the UTF-8 bytes of the document without its field 'signature', with sorted keys and no blanks, so
that any program can check it.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from wayline.errors import Precondition
from wayline.receipts import canonical, fingerprint


class Signer:
    """Signs with the key of a file, which is made at the first use, for its owner only."""

    def __init__(self, path: Path) -> None:
        """Nothing is read yet."""
        self._path = path
        self._key: Ed25519PrivateKey | None = None

    def public_key(self) -> str:
        """As PEM.

        Raises:
            Precondition: there is no key, and none can be made.
        """
        public = self._private().public_key()
        return public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()

    def sign(self, receipt: dict[str, Any]) -> str:
        """The receipt as JSON, with the fingerprint of the key and the signature.

        Raises:
            Precondition: as in `public_key`.
        """
        whole = {**receipt, "key": fingerprint(self.public_key())}
        return canonical({**whole, "signature": self._private().sign(canonical(whole).encode()).hex()})

    def _private(self) -> Ed25519PrivateKey:
        if self._key is None:
            try:
                self._key = _read_or_make(self._path)
            except (OSError, ValueError) as error:
                raise Precondition(
                    f"receipts cannot be signed: {self._path} holds no Ed25519 key, and none can be made there "
                    f"({error}). Set WAYLINE_RECEIPT_KEY to a file that holds one as PEM, or that can be written"
                ) from None
        return self._key


def _read_or_make(path: Path) -> Ed25519PrivateKey:
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        made = Ed25519PrivateKey.generate()
        data = made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        # Whole or not at all, and never for others to read; of two processes that make one, the first one's counts.
        draft = path.with_name(f"{path.name}.{os.getpid()}")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(draft, path)
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    key = load_pem_private_key(path.read_bytes(), password=None)
    if not isinstance(key, Ed25519PrivateKey):
        raise ValueError("it is a key of another kind")
    return key
