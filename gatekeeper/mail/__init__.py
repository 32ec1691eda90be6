"""What a message says about itself: octets in, `Facts` out.

An own scanner rather than a general parser: it takes linear time, recurses nowhere, changes nothing, and says where a
mail program could read something else.
"""

from .defects import DEFECTS
from .facts import read_facts
from .folding import fold
from .likeness import read_likeness
from .limits import Limits
from .subject import subject_key

__all__ = ["DEFECTS", "Limits", "fold", "read_facts", "read_likeness", "subject_key"]
