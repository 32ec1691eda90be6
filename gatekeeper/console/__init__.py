"""The web console: pages for people who decide, ask and send. It calls the ledger's verbs, never the database."""
