"""What is in force: ruleset and directory, mode, evidence, identity of senders, approvers, deadlines."""
