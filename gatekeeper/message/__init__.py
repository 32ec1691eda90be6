"""Read a message: octets in, `Facts` out.

The gate has its own scanner instead of a general mail parser: the scanner takes linear time, does not recurse, changes
nothing, and notes as a defect where a mail program could read something else. Read `facts.py` first, then
`mime_tree.py` and `headers.py`; `limits.py` bounds what is read, and `defects.py` lists what can be wrong.
"""

from gatekeeper.message.cancellations import cancels
from gatekeeper.message.defects import DEFECTS
from gatekeeper.message.facts import read_facts
from gatekeeper.message.limits import Limits
from gatekeeper.message.subject import subject_key
from gatekeeper.message.template_likeness import read_likeness
from gatekeeper.message.text_normalisation import fold

__all__ = ["DEFECTS", "Limits", "cancels", "fold", "read_facts", "read_likeness", "subject_key"]
