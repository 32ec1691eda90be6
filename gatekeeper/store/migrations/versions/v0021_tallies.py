"""How many recipients each stored batch has, and what became of them: kept with the batch, for lists.

Programs of earlier schemas work on this one: recipients of batches that they store or send are counted.
"""

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"
_COUNTED = """
UPDATE batches SET
    recipients = (SELECT count(*) FROM batch_recipients WHERE batch_id = batches.id),
    sent = (SELECT count(*) FROM batch_recipients WHERE batch_id = batches.id AND state = 'sent'),
    refused = (SELECT count(*) FROM batch_recipients WHERE batch_id = batches.id AND state = 'refused'),
    expired = (SELECT count(*) FROM batch_recipients WHERE batch_id = batches.id AND state = 'expired')
"""


def upgrade() -> None:
    """Add the columns, and count what there is."""
    for name in ("recipients", "sent", "refused", "expired"):
        op.add_column("batches", sa.Column(name, sa.Integer(), nullable=True))
    op.execute(_COUNTED)
