"""Named steps at which a test can kill the process, to check that nothing acknowledged is lost.

With GATEKEEPER_KILL_AT=NAME:N in the environment the process ends by SIGKILL when it passes that step for the Nth time.
Without that variable a step costs one comparison. CONTRIBUTING.md says how the fault tests use the steps.
"""

from __future__ import annotations

import os
import signal
from itertools import count

STEPS = (
    "received",  # the message is read, nothing is decided yet
    "decided",  # the verdict is committed
    "body-opened",  # a body's row is committed
    "body-chunk",  # one chunk of the body is committed
    "body-complete",  # the whole body is committed
    "sealed",  # the batch is durable: from here on the gate may answer 250
    "part-relayed",  # the next hop has answered the first part of a message to more recipients than it takes at once
    "rest-released",  # the other parts are queued: from here on the gate may answer 250
    "notice-queued",  # the notice to the sender is queued, or queueing it has failed
    "gather-judged",  # a gathered mailing is due and judged, nothing is written yet
    "gather-ended",  # the result of gathering is committed
    "approved",  # the approval is committed
    "leased",  # this process has leased a delivery job
    "body-read",  # the job's message is read
    "sent",  # the next hop has answered
    "recorded",  # the next hop's answers are committed
    "finished",  # the job is done
    "disposal-listed",  # a part of a list of what is to be destroyed is committed
    "disposal-slice",  # a part of such a list is destroyed, and committed
    "disposal-cleared",  # all of it is destroyed, and the files of the database are cleared of it
    "disposal-done",  # its certificate is committed
    "report-made",  # the report of a month is made, not kept
    "export-begun",  # an export is noted in the ledger; its folder is empty
    "export-file",  # a file of it is written, and not noted yet
    "export-noted",  # a file of it is noted
    "export-whole",  # its manifests are written
    "export-done",  # the ledger has its digests
)

VARIABLE = "GATEKEEPER_KILL_AT"
_name, _, _nth = os.environ.get(VARIABLE, "").partition(":")
_passes = count(1)


def step(name: str) -> None:
    """Pass the named step; end the process by SIGKILL where the environment asks for that."""
    if name == _name and next(_passes) == int(_nth or 1):
        os.kill(os.getpid(), signal.SIGKILL)
