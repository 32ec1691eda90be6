"""Reads the metrics of a gate that runs, for commands."""

from __future__ import annotations

import urllib.request

from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from gatekeeper.settings import Endpoint

_SECONDS = 10.0


def read_metrics(ops: Endpoint) -> list[Sample]:
    """Return what the page of --ops says. Raises OSError where nobody answers there."""
    with urllib.request.urlopen(f"http://{ops}/metrics", timeout=_SECONDS) as page:
        text = page.read().decode()
    return [one for family in text_string_to_metric_families(text) for one in family.samples]
