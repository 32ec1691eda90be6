"""What happens by the passing of time: gathers end, people are reminded, the queue sends. Start with `scheduler.py`."""
