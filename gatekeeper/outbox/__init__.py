"""Writes notices into the durable queue: to senders, approvers and requesters."""
