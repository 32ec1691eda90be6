"""What happens to an arriving message."""
