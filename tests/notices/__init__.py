"""Tests of the mails that the gate itself sends."""
