"""The files of `deploy/` are valid and name what there is: settings, metrics, options, ports."""

import json
import re
import shutil
import subprocess

import click
import httpx
import pytest
import yaml

from tests.support.paths import ROOT
from tests.support.server import ServerProcess
from tests.support.waiting import wait_until
from tmf_apis.cli import main
from tmf_apis.settings import Settings

DEPLOY = ROOT / "deploy"
MANIFESTS = sorted((DEPLOY / "kubernetes").glob("*.yaml"))
ALERTS = DEPLOY / "monitoring" / "alerts.yaml"
DASHBOARD = DEPLOY / "monitoring" / "dashboard.json"
UNITS = sorted((DEPLOY / "systemd").glob("*.service"))
METRIC = re.compile(r"\btmf_\w+")


def run(*command):
    process = subprocess.run(  # noqa: S603 - a trusted command
        command, capture_output=True, text=True, timeout=120, check=False
    )
    return process.returncode, process.stdout + process.stderr


def resources():
    """Return the Kubernetes resources, by kind and name."""
    documents = [
        document
        for file in MANIFESTS
        if file.name != "kustomization.yaml"
        for document in yaml.safe_load_all(file.read_text("utf-8"))
    ]
    return {(doc["kind"], doc["metadata"]["name"]): doc for doc in documents}


def pods():
    return {
        name: resource["spec"]["template"]["spec"]
        for (kind, name), resource in resources().items()
        if kind == "Deployment"
    }


def expressions():
    """Return all PromQL expressions of the alerts and of the dashboard."""
    groups = yaml.safe_load(ALERTS.read_text("utf-8"))["groups"]
    panels = json.loads(DASHBOARD.read_text("utf-8"))["panels"]
    return [
        *(rule["expr"] for group in groups for rule in group["rules"]),
        *(target["expr"] for panel in panels for target in panel.get("targets", ())),
    ]


def _metrics_with_backlog(server):
    """Return the metrics once they have those that need a query of the database; else None."""
    text = httpx.get(f"{server.url}/metrics").text
    return text if "\ntmf_backlog_known 1.0" in text else None


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """The names of the metrics of a server that has answered and refused requests."""
    server = ServerProcess(tmp_path_factory.mktemp("metrics") / "data").start()
    try:
        httpx.get(f"{server.url}/tmf-api/alarmManagement/v5/alarm")
        text = wait_until(lambda: _metrics_with_backlog(server), timeout=30)
    finally:
        server.stop()
    return set(re.findall(r"^# TYPE (\S+)", text, re.MULTILINE)) | set(
        re.findall(r"^(tmf_\w+)", text, re.MULTILINE)
    )


def test_every_manifest_is_valid_for_kubernetes():
    kubernetes_validate = pytest.importorskip("kubernetes_validate")
    for resource in resources().values():
        kubernetes_validate.validate(resource, "1.30", strict=True)


def test_the_kustomization_lists_every_manifest():
    kustomization = yaml.safe_load((DEPLOY / "kubernetes" / "kustomization.yaml").read_text())
    assert {*kustomization["resources"], "kustomization.yaml"} == {f.name for f in MANIFESTS}


@pytest.mark.parametrize("name", ["tmf-server", "tmf-worker"])
def test_pods_run_without_privileges(name):
    pod = pods()[name]
    assert pod["securityContext"]["runAsNonRoot"]
    assert not pod["automountServiceAccountToken"]
    (container,) = pod["containers"]
    context = container["securityContext"]
    assert context["readOnlyRootFilesystem"]
    assert context["capabilities"] == {"drop": ["ALL"]}
    assert not context["allowPrivilegeEscalation"]
    assert container["resources"]["limits"]["memory"]


@pytest.mark.parametrize("name", ["tmf-server", "tmf-worker"])
def test_pods_use_existing_options_and_paths_of_the_image(name):
    (container,) = pods()[name]["containers"]
    command, *options = container["args"]
    known = {
        option
        for parameter in main.get_command(click.Context(main), command).params
        for option in parameter.opts
    }
    assert {option for option in options if option.startswith("--")} <= known
    mounted = {mount["mountPath"] for mount in container["volumeMounts"]}
    assert {"/var/lib/tmf", "/tmp"} <= mounted  # noqa: S108 - a path of the container


def test_the_server_has_probes_and_the_time_to_end_its_requests():
    pod = pods()["tmf-server"]
    (container,) = pod["containers"]
    assert container["readinessProbe"]["httpGet"]["path"] == "/health/ready"
    assert container["livenessProbe"]["httpGet"]["path"] == "/health/live"
    assert pod["terminationGracePeriodSeconds"] > 5 + 10 + 15


def test_a_network_policy_selects_each_deployment_and_everything_else_is_denied():
    policies = {
        name: r["spec"] for (kind, name), r in resources().items() if kind == "NetworkPolicy"
    }
    assert policies["default-deny"]["podSelector"] == {}
    for name in pods():
        assert policies[name]["podSelector"]["matchLabels"] == {"app.kubernetes.io/name": name}
        assert set(policies[name]["policyTypes"]) == {"Ingress", "Egress"}


def test_the_files_use_existing_settings():
    text = "".join(path.read_text("utf-8") for path in DEPLOY.rglob("*") if path.is_file())
    settings = {name for name, _, _ in Settings().table()}
    assert set(re.findall(r"TMF_[A-Z_]*[A-Z]", text)) <= settings


def test_promtool_accepts_the_alert_rules():
    if not (promtool := shutil.which("promtool")):
        pytest.skip("promtool is not installed: make linters")
    status, output = run(promtool, "check", "rules", str(ALERTS))
    assert status == 0, output


def test_promtool_accepts_the_queries_of_the_dashboard(tmp_path):
    if not (promtool := shutil.which("promtool")):
        pytest.skip("promtool is not installed: make linters")
    rules = [
        {"record": f"query:{number}", "expr": expression.replace("$__rate_interval", "5m")}
        for number, expression in enumerate(expressions())
    ]
    file = tmp_path / "queries.yaml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "queries", "rules": rules}]}))
    status, output = run(promtool, "check", "rules", "--lint=none", str(file))
    assert status == 0, output


def test_alerts_and_dashboard_use_metrics_that_the_server_exports(exported):
    used = {name for expression in expressions() for name in METRIC.findall(expression)}
    with_suffix = {f"{name}{suffix}" for name in exported for suffix in ("", "_total", "_bucket")}
    assert used - with_suffix == set()


def test_every_alert_says_what_happened_and_what_to_do():
    for group in yaml.safe_load(ALERTS.read_text("utf-8"))["groups"]:
        for rule in group["rules"]:
            assert rule["labels"]["severity"] in {"critical", "warning"}
            assert {"summary", "description"} <= rule["annotations"].keys()


def test_the_panels_of_the_dashboard_do_not_overlap():
    taken = set()
    for panel in json.loads(DASHBOARD.read_text("utf-8"))["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not taken & cells, panel["title"]
        assert place["x"] + place["w"] <= 24
        taken |= cells


@pytest.mark.parametrize("unit", UNITS, ids=lambda path: path.name)
def test_systemd_accepts_the_units(unit, tmp_path):
    if not (analyze := shutil.which("systemd-analyze")):
        pytest.skip("systemd is not installed")
    program = tmp_path / "tmf"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    copy = tmp_path / unit.name.replace("@", "@1")
    copy.write_text(unit.read_text("utf-8").replace("/opt/tmf/bin/tmf", str(program)))
    status, output = run(analyze, "verify", "--man=no", str(copy))
    assert (status, output.strip()) == (0, "")
