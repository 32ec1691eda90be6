"""What operators watch: log, metrics, health."""
