"""Sets up a process of the gate."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import gc
import logging
import os
import signal

_YOUNG = 20_000  # objects: hardly any that a message makes are in a ring, and looking for them takes a twentieth

_M_ARENA_MAX = -8  # of malloc.h


def prepare() -> None:
    """Set up this process before its event loop is made: uvloop where it is installed, few rounds of the collector.

    Log records carry neither file nor thread, which no log format of the gate shows (logging HOWTO, Optimization).
    """
    _have_few_arenas()
    with contextlib.suppress(ImportError):
        import uvloop

        asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
    gc.collect()
    gc.freeze()  # what was imported stays
    gc.set_threshold(_YOUNG, 20, 20)
    logging._srcfile = None
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False


def _have_few_arenas() -> None:
    """Let threads share two arenas of glibc's malloc: each takes 64 MB of the address space, which may have a limit."""
    with contextlib.suppress(OSError, AttributeError):  # another libc
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 2)


def become_child() -> None:
    """Leave signals to the supervisor, which gets them too, and let nobody else read what this process writes."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    os.umask(0o077)  # counters are kept in files; a unix socket has its mode from the supervisor, which has opened it
