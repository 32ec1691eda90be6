"""What was decided: recorded, kept, replayed, compared, reported."""
