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
from gatekeeper.service.gate import GRACE
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
OF_PROMETHEUS = {"up", "process_cpu_seconds_total", "process_resident_memory_bytes"}
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
    for path in filter(Path.is_file, UNITS.iterdir()):
        text = path.read_text().replace("/usr/bin/gatekeeper", "/bin/true").replace("man:gatekeeper", "man:ls")
        (tmp_path / path.name).write_text(re.sub("^Documentation=.*\n", "", text, flags=re.MULTILINE))
    shutil.copytree(UNITS / "gatekeeper-milter.socket.d", tmp_path / "gatekeeper-milter.socket.d")
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
    assert len(panel["description"]) > 20, "what it shows, in words"


def test_the_dashboard_shows_what_ops_ask_for():
    shown = {
        name for panel in DASHBOARD["panels"] for target in panel["targets"] for name in metrics_of(target["expr"])
    }
    assert shown >= {
        "gatekeeper_audit_records_total",
        "gatekeeper_observed_total",
        "gatekeeper_agency_mailings_total",
        "gatekeeper_refused_total",
        "gatekeeper_directory_state",
        "gatekeeper_kept_bytes",
        "process_resident_memory_bytes",
    }


def test_the_operators_rules_are_the_shipped_ones():
    folder = DEPLOY / "kubernetes/monitoring"
    rule = yaml.safe_load((folder / "prometheus-rule.yaml").read_text())
    assert rule["kind"] == "PrometheusRule" and rule["spec"]["groups"][0]["rules"] == ALERTS
    component = yaml.safe_load((folder / "kustomization.yaml").read_text())
    assert set(component["resources"]) == {path.name for path in folder.iterdir()} - {"kustomization.yaml"}


def test_prometheus_calls_the_job_as_the_alerts_do():
    monitor = yaml.safe_load((DEPLOY / "kubernetes/monitoring/service-monitor.yaml").read_text())["spec"]
    services = list(yaml.safe_load_all((DEPLOY / "kubernetes/service.yaml").read_text()))
    wanted = monitor["selector"]["matchLabels"].items()
    (service,) = [each for each in services if wanted <= each["metadata"].get("labels", {}).items()]
    assert service["metadata"]["labels"][monitor["jobLabel"]] == "gatekeeper"
    assert {each["port"] for each in monitor["endpoints"]} <= {each["name"] for each in service["spec"]["ports"]}


def test_no_metric_is_looked_for_that_is_not_there():
    assert metrics_of("rate(gatekeeper_nonsense_total[5m])") - set(exposed())


# -- containers ----------------------------------------------------------------------------------------------------


def test_yaml_is_well_formed_and_plain():
    rules = (
        "{extends: default, rules: {line-length: {max: 120}, document-start: disable, braces: {max-spaces-inside: 0}}}"
    )
    rules = rules.replace("disable,", "disable, comments: {min-spaces-from-content: 1},")
    run(tool("yamllint"), "--strict", "--config-data", rules, *DEPLOY.rglob("*.yaml"))


DOCKERFILE = (DEPLOY / "container/Dockerfile").read_text()


def test_the_dockerfile_has_no_bad_habits():
    run(tool("hadolint"), DEPLOY / "container/Dockerfile")


def test_the_image_has_nothing_without_a_hash_and_says_what_it_is():
    installed = re.findall(r"pip install ([^&\n]*)", DOCKERFILE)
    assert len(installed) == 3 and all("--require-hashes" in each or "--no-index" in each for each in installed)
    labels = set(re.findall(r"org\.opencontainers\.image\.([\w.]+)=", DOCKERFILE))
    assert labels >= {"title", "description", "licenses", "version", "revision", "base.name"}
    assert "ARG BASE=" in DOCKERFILE and DOCKERFILE.count("FROM ${BASE}") == 2


def test_large_messages_are_on_a_disk_while_they_come_in():
    """TMPDIR is none of the tmpfs of compose, nor a volume in memory."""
    assert "TMPDIR=/var/lib/gatekeeper" in DOCKERFILE and "VOLUME /var/lib/gatekeeper" in DOCKERFILE
    for name, service in COMPOSE["services"].items():
        if name.startswith("gate-"):
            assert service["environment"]["TMPDIR"] not in service["tmpfs"], name
    pod = yaml.safe_load((DEPLOY / "kubernetes/deployment.yaml").read_text())["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    (place,) = [each["value"] for each in container["env"] if each["name"] == "TMPDIR"]
    (mount,) = [each["name"] for each in container["volumeMounts"] if each["mountPath"] == place]
    (volume,) = [each for each in pod["volumes"] if each["name"] == mount]
    assert "medium" not in volume["emptyDir"]


def test_pods_have_time_to_start_and_to_end():
    pod = yaml.safe_load((DEPLOY / "kubernetes/deployment.yaml").read_text())["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    probe = container["startupProbe"]
    assert probe["httpGet"]["path"] == "/livez" and probe["periodSeconds"] * probe["failureThreshold"] >= 60
    pause = int(container["lifecycle"]["preStop"]["exec"]["command"][1])
    assert pod["terminationGracePeriodSeconds"] >= pause + 2 * GRACE  # for mail on its way, and for its verdicts
    assert pod["enableServiceLinks"] is False


COMPOSE = yaml.safe_load((DEPLOY / "container/compose.yaml").read_text())


def test_gates_believe_the_queue_ids_of_the_mail_servers_beside_them():
    (network,) = COMPOSE["networks"]["default"]["ipam"]["config"]
    for name, service in COMPOSE["services"].items():
        if name.startswith("gate-"):
            settings = service["environment"]
            assert network["subnet"] in settings["GATEKEEPER_XFORWARD"].split(",")
            assert network["subnet"] in settings["GATEKEEPER_CLIENTS"].split(",")
    literals = yaml.safe_load((DEPLOY / "kubernetes/kustomization.yaml").read_text())["configMapGenerator"][1][
        "literals"
    ]
    settings = dict(each.partition("=")[::2] for each in literals)
    assert settings["GATEKEEPER_XFORWARD"] == settings["GATEKEEPER_CLIENTS"]


@pytest.mark.parametrize("name", ["main.cf", "master.cf"])
def test_the_lines_for_postfix_are_those_that_are_tested(name):
    section = PAGES["docs/postfix.md"].partition("## Relay")[2].partition("\n## ")[0]
    (block,) = re.findall(rf"```ini\n# /etc/postfix/{re.escape(name)}\n(.*?)```", section, re.DOTALL)
    shipped = (DEPLOY / "postfix" / name).read_text()
    assert "".join(line for line in shipped.splitlines(True) if not line.startswith("#")) == block


def test_the_milters_socket_is_where_a_chrooted_postfix_finds_it():
    drop_in = (UNITS / "gatekeeper-milter.socket.d/postfix.conf").read_text()
    (place,) = re.findall(r"^ListenStream=(\S+)$", drop_in, re.MULTILINE)
    assert f"GATEKEEPER_MILTER=unix:{place}" in drop_in
    (setting,) = set(re.findall(r"^smtpd_milters = (unix:\S+)$", PAGES["docs/postfix.md"], re.MULTILINE))
    assert place == "/var/spool/postfix/" + setting.removeprefix("unix:")


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
    fetching = [ROOT / name for name in ("tools/confusables.sh", "tools/dist.sh", "tests/peers/fetch_parsers.sh")]
    fetching.append(DEPLOY / "container/pin")
    run(tool("shellcheck"), DEPLOY / "build-deb", *debian, *fetching, ROOT / ".ci/run")
