"""One of several processes that claim the same use of a permit at once; prints how many of its mailings passed.

Run as: python -m tests.ledger.claiming DATABASE RULES FIRST NUMBER
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from gatekeeper.store import Database, Store
from tests.ledger.scene import Scene
from tests.store.arrivals import people


async def claim(scene: Scene, first: int, number: int) -> int:
    """Send so many mailings at once, each of the approved subject, within a mailing of its own."""
    replies = await asyncio.gather(*(scene.send(people(30, start=each)) for each in range(first, first + number)))
    return sum("queued" in reply.text for reply in replies)


def main(url: str, rules: str, first: int, number: int) -> None:
    """Open the store, wait for the word, claim, say how it went."""
    store = Store(Database(url, timeout=30))
    store.open()
    folder = Path(rules).parent / f"claiming-{first}"
    folder.mkdir()
    scene = Scene(store, folder, Path(rules).read_text())
    print("ready", flush=True)
    sys.stdin.readline()
    print(asyncio.run(claim(scene, first, number)), flush=True)
    store.close()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
