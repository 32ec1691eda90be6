"""Benchmarks: run by hand, never asserted on in tests. docs/performance.md says what they showed."""
