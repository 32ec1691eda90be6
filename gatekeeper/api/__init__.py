"""The JSON of things, made once for every face: CLI, HTTP API, console."""
