"""What a judgment goes by: the active ruleset and directory, the mode, the evidence, and who may decide.

Read first: `active.py` (rules and directory in force), `evidence.py` (a transaction and its facts -> evidence),
`approvers.py` (whose approval is needed). `case_runner.py` tries rules on their cases; `reloader.py` keeps the policy
of a running process up to date.
"""
