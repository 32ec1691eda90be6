"""What a message says about itself: octets in, `Facts` out.

An own scanner rather than a general parser: it takes linear time, recurses nowhere, changes nothing, and says where a
mail program could read something else.
"""

from gatekeeper.message.defects import DEFECTS
from gatekeeper.message.facts import read_facts
from gatekeeper.message.limits import Limits
from gatekeeper.message.subject import subject_key
from gatekeeper.message.template_likeness import read_likeness
from gatekeeper.message.text_normalisation import fold

__all__ = ["DEFECTS", "Limits", "fold", "read_facts", "read_likeness", "subject_key"]
