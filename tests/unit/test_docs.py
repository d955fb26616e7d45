"""Documents and code hold each other: what is promised exists, what exists is told of."""

import ast
import os
import re
import subprocess

import click
import pytest
from click.testing import CliRunner

from tests.support.paths import ROOT
from tmf_apis.cli import main

README = (ROOT / "README.md").read_text("utf-8")
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("openapi/*.md")])
MODULES = sorted(
    path for folder in ("tmf_apis", "adapters") for path in (ROOT / folder).rglob("*.py")
)
ROOMS = (
    "catalog",
    "ordering",
    "customer",
    "billing",
    "inventory",
    "alarms",
    "network_operations",
    "products",
    "services",
    "qualification",
)
GROUND = ("settings", "errors", "serialization")
#: What each package of ``tmf_apis`` may import of the others.
BELOW = {
    "security": GROUND,
    "store": (*GROUND, "security"),
    "events": (*GROUND, "security", "store"),
    "rest": (*GROUND, "security", "store", "events"),
    **dict.fromkeys(ROOMS, (*GROUND, "security", "store", "events", "rest")),
    "element_access": (*GROUND, "security", "store", "events"),
    "fulfilment": (*GROUND, "security", "store", "events", "rest", *ROOMS, "element_access"),
    "fault_management": (
        *(*GROUND, "security", "store", "events", "rest", *ROOMS),
        *("element_access", "fulfilment"),
    ),
    **dict.fromkeys(
        ("reconciliation", "capacity"),
        (
            *(*GROUND, "security", "store", "events", "rest", *ROOMS),
            *("element_access", "fulfilment", "fault_management"),
        ),
    ),
    **dict.fromkeys(GROUND, ()),
}
#: Only these know network elements.
KNOWING = {
    *("element_access", "fulfilment", "fault_management", "reconciliation", "capacity"),
    *("inventory", "worker", "demo", "element_cli"),
}
#: Only these put the pieces together.
TOP = {
    "__main__",
    "app",
    "cli",
    "server",
    "web",
    "worker",
    "console",
    "demo",
    "bulk_load",
    "element_cli",
}
#: Some commands are loaded when they are asked for.
COMMANDS = set(main.list_commands(click.Context(main)))
LINK = re.compile(r"\]\(([^)#:]+)(?:#[^)]*)?\)")


def name_of(path):
    return path.relative_to(ROOT).as_posix()


def imports(path):
    """Return the dotted names that a module imports, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {one.name for one in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{one.name}" for one in node.names}
    return found


def rooms_of(path):
    """Return the parts of ``tmf_apis`` that a module imports."""
    return {
        name.split(".")[1]
        for name in imports(path)
        if name.startswith("tmf_apis.") and not name.endswith(".__version__")
    }


def written_tests():
    """Return the names of all tests."""
    sources = [*ROOT.glob("tests/**/test_*.py"), ROOT / "adapters" / "testing.py"]
    text = "\n".join(path.read_text("utf-8") for path in sources)
    return set(re.findall(r"def (test_\w+)\(", text))


def test_the_table_of_settings_is_what_the_command_prints(monkeypatch):
    for name in [name for name in os.environ if name.startswith("TMF_")]:
        monkeypatch.delenv(name)
    result = CliRunner().invoke(main, ["settings"])
    assert result.exit_code == 0
    printed = "\n".join(line.rstrip() for line in result.output.splitlines())
    assert f"```text\n{printed}\n```" in README


def test_the_commands_told_of_are_those_that_exist():
    told = set(re.findall(r"^\| `tmf (\w+)` \|", README, re.MULTILINE))
    assert told == COMMANDS


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_every_command_in_a_document_exists(document):
    text = document.read_text("utf-8")
    assert set(re.findall(r"`(?:\.venv/bin/)?tmf ([a-z]+)", text)) <= COMMANDS


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_every_target_of_make_in_a_document_exists(document):
    told = set(re.findall(r"(?:`|^)make ([a-z-]+)", document.read_text("utf-8"), re.MULTILINE))
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    assert told <= targets


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_every_link_to_a_file_leads_somewhere(document):
    text = re.sub(r"```.*?```", "", document.read_text("utf-8"), flags=re.DOTALL)
    missing = [one for one in LINK.findall(text) if not (document.parent / one).exists()]
    assert missing == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_every_setting_in_a_document_exists(document):
    told = set(re.findall(r"`(TMF_[A-Z_]+)\b[^`<]*`", document.read_text("utf-8")))
    known = set(re.findall(r"^(TMF_\w+)", README, re.MULTILINE))
    assert told <= known | {"TMF_CREDENTIAL_"}


def test_every_document_can_be_found_from_the_first_page():
    for document in (ROOT / "docs").glob("*.md"):
        assert f"(docs/{document.name})" in README


def test_the_map_of_packages_is_complete():
    listed = re.findall(r"^\| `((?:tmf_apis/)?\w+)/` \|", README, re.MULTILINE)
    packages = {f"tmf_apis/{path.parent.name}" for path in (ROOT / "tmf_apis").glob("*/__init__.py")}
    assert sorted(listed) == sorted({*packages, "adapters", "openapi"})


def test_every_test_and_module_of_the_clauses_exists():
    known = written_tests()
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in (ROOT / "docs" / "tmf630.md").read_text("utf-8").splitlines()
        if line.startswith("| ") and not line.startswith(("| clause", "| ---"))
    ]
    assert len(rows) > 30
    for clause, verdict, module, test in rows:
        named = re.findall(r"`(test_\w+)`", test)
        assert verdict.startswith("no") or (named and set(named) <= known), clause
        for path in re.findall(r"`([\w./]+)`", module):
            assert (ROOT / path).exists() or (ROOT / "tmf_apis" / path).exists(), clause


def test_every_decision_has_a_number_a_title_and_what_was_turned_down():
    records = sorted((ROOT / "docs" / "decisions").glob("*.md"))
    assert [int(path.name[:4]) for path in records] == list(range(1, len(records) + 1))
    for path in records:
        first, *rest = path.read_text("utf-8").splitlines()
        assert first.startswith("# "), path
        assert any(line.startswith("Turned down") for line in rest), path


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_every_module_says_what_it_is_for(path):
    assert ast.get_docstring(ast.parse(path.read_text("utf-8")))


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_imports_go_down_and_never_up_or_sideways(path):
    parts = path.relative_to(ROOT).with_suffix("").parts
    used = rooms_of(path)
    if parts[0] == "adapters":
        assert used <= {"settings"}
        return
    own = parts[1]
    if own in BELOW:
        assert used <= {*BELOW[own], own}
    elif own not in TOP:
        assert used.isdisjoint(TOP), "only the top may know everything"


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_elements_are_known_to_the_middle_floor_only(path):
    parts = path.relative_to(ROOT).with_suffix("").parts
    known = {name.split(".")[0] for name in imports(path)}
    if parts[0] == "tmf_apis" and parts[1] not in KNOWING:
        assert "adapters" not in known


def test_no_file_names_a_place_of_one_machine():
    listed = subprocess.run(
        ["git", "ls-files", "-z"],  # noqa: S607
        cwd=ROOT,
        capture_output=True,
        check=False,
    )
    paths = [ROOT / name for name in listed.stdout.decode().split("\0") if name] or MODULES
    places = re.compile(
        rb"(?<![\w.])/(?:home|Users|root|work)/\w|https?://[\w.-]*(?:artifactory|nexus|devpi|"
        rb"pypi|pythonhosted|npmjs)[\w.-]*/"
    )
    guilty = [
        name_of(path)
        for path in paths
        if path.is_file()
        and path.suffix not in {".png", ".lock"}
        and path.name != "test_docs.py"
        and places.search(path.read_bytes())
    ]
    assert guilty == []


def test_the_lock_names_no_index():
    lock = (ROOT / "requirements.lock").read_text("utf-8")
    assert "index-url" not in lock
    assert "://" not in lock
