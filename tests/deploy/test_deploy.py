"""What is in deploy/, each by the tool that is made for it; a tool that is not here is a skip that says so."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from gatekeeper.cli.commands.init import environment_file
from gatekeeper.rules import parse_ruleset
from gatekeeper.service.systemd import LISTENERS
from gatekeeper.settings import SETTINGS
from tests.ops.test_metrics import exposed
from tests.test_docs import PAGES, anchors

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
UNITS = DEPLOY / "systemd"
MOST_EXPOSED = 15  # tenths: 1.5
DASHBOARD = json.loads((DEPLOY / "grafana/gatekeeper.json").read_text())
ALERTS = yaml.safe_load((DEPLOY / "prometheus/gatekeeper.rules.yaml").read_text())["groups"][0]["rules"]
OF_PROMETHEUS = {"up", "process_cpu_seconds_total"}
VARIABLES = {setting.variable for setting in SETTINGS}


def tool(name: str) -> str:
    return shutil.which(name) or shutil.which(name, path=ROOT / ".venv/bin") or pytest.skip(f"no {name} here")


def run(*words: object, **options: object) -> str:
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, **options)
    assert done.returncode == 0, f"{words[0]}: {done.stdout}{done.stderr}"
    return done.stdout


def metrics_of(query: str) -> set[str]:
    names = re.findall(r"\b(?:gatekeeper|process)_[a-z_]*[a-z]\b(?!\s*=)", query)
    return {name.removesuffix("_bucket") for name in names}


# -- systemd -----------------------------------------------------------------------------------------------------


def test_the_service_is_as_closed_as_it_can_be():
    run(
        tool("systemd-analyze"),
        "security",
        "--offline=true",
        f"--threshold={MOST_EXPOSED}",
        UNITS / "gatekeeper.service",
    )


def test_the_units_are_units(tmp_path):
    for path in UNITS.iterdir():
        text = path.read_text().replace("/usr/bin/gatekeeper", "/bin/true").replace("man:gatekeeper", "man:ls")
        (tmp_path / path.name).write_text(re.sub("^Documentation=.*\n", "", text, flags=re.MULTILINE))
    run(tool("systemd-analyze"), "verify", *tmp_path.glob("*.service"), *tmp_path.glob("*.socket"))


def test_sockets_have_the_names_that_the_gate_knows():
    names = {
        name for path in UNITS.glob("*.socket") for name in re.findall("FileDescriptorName=(.*)", path.read_text())
    }
    assert names == set(LISTENERS)


# -- Prometheus and Grafana ----------------------------------------------------------------------------------------


def test_the_alerts_fire_when_they_should():
    promtool = tool("promtool")
    run(promtool, "check", "rules", DEPLOY / "prometheus/gatekeeper.rules.yaml")
    run(promtool, "test", "rules", DEPLOY / "prometheus/gatekeeper.tests.yaml")


def test_every_alert_is_tested_and_has_its_runbook():
    tests = yaml.safe_load((DEPLOY / "prometheus/gatekeeper.tests.yaml").read_text())["tests"]
    tried = {each["alertname"] for test in tests for each in test["alert_rule_test"] if each["exp_alerts"]}
    assert tried == {alert["alert"] for alert in ALERTS}
    for alert in ALERTS:
        page = "https://docs.example.gov/gatekeeper/runbook.md"
        assert alert["annotations"]["runbook_url"] == f"{page}#{alert['alert'].lower()}"
        assert alert["alert"].lower() in anchors(PAGES["docs/runbook.md"])


@pytest.mark.parametrize("query", [alert["expr"] for alert in ALERTS])
def test_every_alert_asks_for_metrics_that_are_exported(query):
    assert metrics_of(query) <= set(exposed()) | OF_PROMETHEUS


@pytest.mark.parametrize("panel", DASHBOARD["panels"], ids=lambda panel: panel["title"])
def test_every_query_of_the_dashboard_names_an_exported_metric(panel):
    for target in panel["targets"]:
        named = metrics_of(target["expr"])
        assert named and named <= set(exposed()) | OF_PROMETHEUS, target["expr"]


def test_no_metric_is_looked_for_that_is_not_there():
    assert metrics_of("rate(gatekeeper_nonsense_total[5m])") - set(exposed())


# -- containers ----------------------------------------------------------------------------------------------------


def test_yaml_is_well_formed_and_plain():
    rules = (
        "{extends: default, rules: {line-length: {max: 120}, document-start: disable, braces: {max-spaces-inside: 0}}}"
    )
    rules = rules.replace("disable,", "disable, comments: {min-spaces-from-content: 1},")
    run(tool("yamllint"), "--strict", "--config-data", rules, *DEPLOY.rglob("*.yaml"))


def test_the_dockerfile_has_no_bad_habits():
    run(tool("hadolint"), DEPLOY / "container/Dockerfile")


CLUSTER = {"Deployment", "PodDisruptionBudget", "HorizontalPodAutoscaler", "NetworkPolicy", "Job"}


def objects_of_the_cluster() -> str:
    """As kustomize makes them; where there is no kubectl, as they are written, without the ConfigMap that it makes."""
    folder = DEPLOY / "kubernetes"
    if shutil.which("kubectl"):
        made = run("kubectl", "kustomize", folder)
        assert "ConfigMap" in {each["kind"] for each in yaml.safe_load_all(made)}
        return made
    listed = yaml.safe_load((folder / "kustomization.yaml").read_text())
    assert {"name": "gatekeeper-rules", "files": ["rules.yaml"]} in listed["configMapGenerator"]
    return "\n---\n".join((folder / name).read_text() for name in listed["resources"])


def test_the_kubernetes_objects_are_of_their_kinds(tmp_path):
    made = objects_of_the_cluster()
    assert {each["kind"] for each in yaml.safe_load_all(made)} >= CLUSTER
    (tmp_path / "all.yaml").write_text(made)
    run(tool("kubernetes-validate"), tmp_path / "all.yaml")


def test_the_rules_and_settings_of_the_cluster_can_be_used():
    parse_ruleset((DEPLOY / "kubernetes/rules.yaml").read_text(), "rules.yaml", DEPLOY / "kubernetes")
    texts = [path.read_text() for path in DEPLOY.rglob("*") if path.is_file()]
    assert {name for text in texts for name in re.findall(r"\bGATEKEEPER_[A-Z_]*[A-Z]", text)} <= VARIABLES
    assert environment_file().count("#GATEKEEPER_") == len(SETTINGS)


def test_scripts_are_sound():
    debian = [
        DEPLOY / "debian" / name for name in ("gatekeeper.sh", "postinst", "prerm", "postrm", "try", "try-within")
    ]
    fetching = [ROOT / name for name in ("tools/confusables.sh", "tests/peers/fetch_parsers.sh")]
    run(tool("shellcheck"), DEPLOY / "build-deb", *debian, *fetching, ROOT / ".ci/run")
