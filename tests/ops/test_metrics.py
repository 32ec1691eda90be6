"""What Prometheus sees, and that docs/metrics.md says what each metric means."""

import re
from datetime import date
from pathlib import Path

import pytest
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from gatekeeper.ops.metrics import LedgerSummary, Metrics, Vocabulary

PAGE = Path(__file__).parents[2] / "docs" / "metrics.md"
FULL = LedgerSummary({"held": 2, "released": 1}, {"notice": 3}, 61.5)


def samples(metrics: Metrics) -> dict[str, float]:
    text = generate_latest(metrics.registry).decode()
    return {
        sample.name + "".join(f" {name}={value}" for name, value in sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_messages_rules_and_errors_are_counted():
    metrics = Metrics()
    for verdict in ("relay", "relay", "hold"):
        metrics.message("smtp", verdict)
    metrics.rule_hit("approval", "hold")
    metrics.next_hop_error("timeout")
    found = samples(metrics)
    assert found["gatekeeper_messages_total listener=smtp verdict=relay"] == 2
    assert found["gatekeeper_messages_total listener=smtp verdict=hold"] == 1
    assert found["gatekeeper_rule_hits_total action=hold rule=approval"] == 1
    assert found["gatekeeper_next_hop_errors_total kind=timeout"] == 1


def test_a_decision_falls_into_its_buckets():
    metrics = Metrics()
    metrics.decision(0.015, 2400)
    found = samples(metrics)
    assert (
        found["gatekeeper_decision_seconds_bucket le=0.01"],
        found["gatekeeper_decision_seconds_bucket le=0.02"],
    ) == (0, 1)
    assert (found["gatekeeper_recipients_bucket le=2000.0"], found["gatekeeper_recipients_sum"]) == (0, 2400)


def test_a_new_ruleset_takes_the_place_of_the_old_one():
    metrics = Metrics()
    metrics.ruleset("aa", "Old", date(2027, 1, 1))
    metrics.ruleset("bb", "New", None)
    found = samples(metrics)
    assert [name for name in found if name.startswith("gatekeeper_ruleset_info")] == [
        "gatekeeper_ruleset_info digest=bb title=New"
    ]
    assert found["gatekeeper_ruleset_review_timestamp_seconds"] == 0


def test_attempts_to_load_the_ruleset_are_counted():
    metrics = Metrics()
    for went_well in (True, False, True):
        metrics.reload(went_well)
    found = samples(metrics)
    assert found["gatekeeper_ruleset_reloads_total result=ok"] == 2
    assert found["gatekeeper_ruleset_reloads_total result=failed"] == 1


def test_processes_are_shown_as_they_are_now():
    metrics = Metrics()
    metrics.processes({"worker": 2, "office": 1}, {"worker-1": "aa", "worker-2": "aa", "office": "aa"})
    metrics.processes({"worker": 1, "office": 1}, {"worker-2": "bb", "office": "aa"})
    metrics.restart("worker")
    found = samples(metrics)
    assert (found["gatekeeper_processes kind=worker"], found["gatekeeper_processes kind=office"]) == (1, 1)
    assert sorted(name for name in found if name.startswith("gatekeeper_process_ruleset_info")) == [
        "gatekeeper_process_ruleset_info digest=aa process=office",
        "gatekeeper_process_ruleset_info digest=bb process=worker-2",
    ]
    assert found["gatekeeper_process_restarts_total kind=worker"] == 1


def test_the_review_date_is_a_time_that_can_be_compared():
    """Clause M7: ops see it coming."""
    metrics = Metrics()
    metrics.ruleset("aa", "Rules", date(2027, 1, 1))
    assert samples(metrics)["gatekeeper_ruleset_review_timestamp_seconds"] == 1_798_761_600


def test_the_ledger_is_asked_at_each_scrape_and_not_before():
    metrics, asked = Metrics(), []
    metrics.watch_ledger(lambda: asked.append(1) or FULL)
    assert not asked
    found = samples(metrics)
    assert asked == [1]
    assert found["gatekeeper_mailings state=held"] == 2 and found["gatekeeper_queue kind=notice"] == 3
    assert found["gatekeeper_oldest_held_seconds"] == 61.5


def test_a_store_that_cannot_say_is_absent_rather_than_wrong():
    metrics = Metrics()
    metrics.watch_ledger(lambda: None)
    assert not [name for name in samples(metrics) if re.match("gatekeeper_(mailings|queue |oldest)", name)]


def test_counters_begin_at_0_with_all_their_labels():
    metrics = Metrics()
    metrics.begin(Vocabulary(("relay", "hold"), ("connect", "tls"), ("mail", "rcpt"), ("size", "other")))
    metrics.expect([("approval", "hold")], ["DOA"], ("relay", "hold"))
    page = generate_latest(metrics.registry).decode()
    for line in (
        'messages_total{listener="milter",verdict="hold"} 0.0',
        'refused_total{listener="smtp",reason="size",stage="rcpt"} 0.0',
        'next_hop_errors_total{kind="tls"} 0.0',
        'ruleset_reloads_total{result="failed"} 0.0',
        'process_restarts_total{kind="worker"} 0.0',
        'audit_records_total{result="lost"} 0.0',
        'rule_hits_total{action="hold",rule="approval"} 0.0',
        'agency_mailings_total{agency="DOA",verdict="hold"} 0.0',
        'agency_mailings_total{agency="none",verdict="relay"} 0.0',
    ):
        assert f"gatekeeper_{line}\n" in page
    metrics.reload(False)
    metrics.refused("smtp", "mail", "size")
    metrics.agency_mailing(None, "hold")
    page = generate_latest(metrics.registry).decode()
    assert "gatekeeper_ruleset_last_reload_successful 0.0\n" in page
    assert 'gatekeeper_refused_total{listener="smtp",reason="size",stage="mail"} 1.0\n' in page
    assert 'gatekeeper_agency_mailings_total{agency="none",verdict="hold"} 1.0\n' in page


def test_two_sets_do_not_share_figures():
    one, other = Metrics(), Metrics()
    one.message("smtp", "relay")
    assert "gatekeeper_messages_total listener=smtp verdict=relay" not in samples(other)


def exposed() -> set[str]:
    """Names as a scrape shows them, of every metric whether or not it has moved."""
    metrics = Metrics()
    metrics.watch_ledger(lambda: FULL)
    families = {family.name: family.type for family in metrics.registry.collect()}
    ours = {name: kind for name, kind in families.items() if name.startswith("gatekeeper_")}
    suffix = {"counter": "_total", "info": "_info"}
    return {name + suffix.get(kind, "") for name, kind in ours.items()}


def test_every_metric_is_documented_and_every_documented_one_exists():
    documented = set(re.findall(r"^\| `(gatekeeper_\w+)`", PAGE.read_text(), re.MULTILINE))
    assert documented == exposed()


@pytest.mark.parametrize("name", sorted(exposed()))
def test_no_label_can_hold_an_address(name):
    row = next(line for line in PAGE.read_text().splitlines() if line.startswith(f"| `{name}`"))
    labels = set(re.findall(r"`(\w+)`", row.split("|")[3]))
    assert labels <= {
        "listener",
        "source",
        "verdict",
        "rule",
        "action",
        "state",
        "kind",
        "digest",
        "title",
        "result",
        "where",
        "version",
        "python",
        "process",
        "stage",
        "reason",
        "agency",
    }
