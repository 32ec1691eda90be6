"""The JSON of mailings, requests, permits and suspensions, made here for the CLI, the HTTP API and the console."""
