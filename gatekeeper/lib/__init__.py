"""Small tools that know nothing of mail, and the version of the program.

`immutable.py` is used for every value of the program; `aio.py` has tasks and timers, `failpoints.py` the steps at which
a test can kill the process.
"""

__version__ = "0.2.0"
