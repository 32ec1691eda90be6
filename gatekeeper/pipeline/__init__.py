"""What happens to an arriving message, whichever listener it came by.

Read `pipeline.py` first: facts, audience, mailing, verdict, effect. `preflight.py` answers questions asked in advance,
`transaction_report.py` writes the log line, the metrics and the audit of each transaction.
"""
