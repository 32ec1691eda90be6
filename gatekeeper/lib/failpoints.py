"""Named steps at which a test can kill the process, to see that nothing acknowledged is lost.

With GATEKEEPER_KILL_AT=NAME:N in the environment the process ends by SIGKILL when it passes that step for the Nth time;
without it a step costs one comparison. CONTRIBUTING.md says how the fault tests use it.
"""

from __future__ import annotations

import os
import signal
from itertools import count

STEPS = (
    "received",  # the message is read, nothing is decided
    "decided",  # the verdict is committed
    "body-opened",  # a body's row is committed
    "body-chunk",  # one chunk of it is committed
    "body-complete",  # it is whole
    "sealed",  # the batch is durable: from here on we may say 250
    "notice-queued",  # the notice to its sender is queued, or has failed
    "gather-judged",  # a gather is due and judged, nothing is written
    "gather-ended",  # what came of it is committed
    "approved",  # the approval is committed
    "leased",  # a job is ours for a while
    "body-read",  # its message is read
    "sent",  # the next hop has answered
    "recorded",  # its answers are committed
    "finished",  # the job is done
)

VARIABLE = "GATEKEEPER_KILL_AT"
_name, _, _nth = os.environ.get(VARIABLE, "").partition(":")
_passes = count(1)


def step(name: str) -> None:
    """Pass the named step; ends the process by SIGKILL where the environment asks for it."""
    if name == _name and next(_passes) == int(_nth or 1):
        os.kill(os.getpid(), signal.SIGKILL)
