"""Keyed hashes: all that the database has of ordinary mail's addresses and subjects (policy D4)."""

from __future__ import annotations

import secrets as random
from collections.abc import Callable
from functools import lru_cache
from hashlib import blake2b

from sqlalchemy import Connection, select

from gatekeeper.store.db.schema import secrets
from gatekeeper.store.db.statements import upsert

Hash = bytes  # 16 octets


def find_secret(connection: Connection) -> bytes | None:
    """Return the database's own key of 32 octets; None where it has none yet."""
    found = connection.execute(select(secrets.c.value).where(secrets.c.name == "hash")).scalar()
    return None if found is None else bytes(found)


def read_secret(connection: Connection) -> bytes:
    """Return the same; a new database gets one."""
    return named_secret(connection, "hash", random.token_bytes(32))


def named_secret(connection: Connection, name: str, new: bytes) -> bytes:
    """Return a secret of the database by its name; `new` is that from now on where there is none."""
    made = upsert(connection, secrets).values(name=name, value=new)
    connection.execute(made.on_conflict_do_nothing(index_elements=["name"]))  # another process may have been first
    return bytes(connection.execute(select(secrets.c.value).where(secrets.c.name == name)).scalar_one())


def keyed(secret: bytes, text: str) -> Hash:
    """Return the keyed hash of a text."""
    digest = _begun(secret).copy()
    digest.update(text.encode("utf-8", "surrogateescape"))
    return digest.digest()


@lru_cache(maxsize=4)
def _begun(secret: bytes) -> blake2b:
    """Return a hash that has taken in its key: a message needs a dozen, and taking in the key is half of the work."""
    return blake2b(key=secret, digest_size=16)


def keyed_all(secret: bytes, prefix: str) -> Callable[[str], Hash]:
    """Return a function that hashes texts of one prefix as `keyed(secret, prefix + text)` does; the prefix is
    processed once.
    """
    begun = _begun(secret).copy()
    begun.update(prefix.encode("utf-8", "surrogateescape"))

    def hashed(text: str) -> Hash:
        digest = begun.copy()
        digest.update(text.encode("utf-8", "surrogateescape"))
        return digest.digest()

    return hashed


def lock_name(digest: Hash) -> int:
    """Return a hash as the 64-bit name of a Postgres advisory lock."""
    return int.from_bytes(digest[:8], "big", signed=True)
