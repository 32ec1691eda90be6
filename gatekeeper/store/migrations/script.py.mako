"""${message}

Revision ID: ${up_revision}
Revises: ${down_revision | comma,n}
"""

from alembic import op
import sqlalchemy as sa

revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}
# A migration that takes something away, or demands a value that older programs do not write, says here which is the
# oldest schema whose programs do without: WORKS_WITH = "0007". One that only adds says nothing.


def upgrade() -> None:
    ${upgrades if upgrades else "pass"}
