"""From this schema on no program reads or writes `mailings.predecessor`, the closed mailing which another continues.

The column stays: programs before schema 27 write it, and nodes are upgraded one after the other. A later release
takes it away, where it is there, and says WORKS_WITH = "0028". A first form of this migration, never released, took it.
"""

revision = "0028"
down_revision = "0027"


def upgrade() -> None:
    """Change nothing."""
