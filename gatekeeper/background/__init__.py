"""What time does: gathers end, people are reminded, the queue sends."""
