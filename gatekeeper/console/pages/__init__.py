"""The pages, a file a subject: what each shows, and what its forms do. Facts and rights come from the ledger."""
