"""Documents and code agree: documented names exist, existing features are documented."""

import ast
import os
import pkgutil
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
#: The modules that every package may import.
BASE = (
    *("settings", "setting_parsers", "setting_addresses", "errors", "serialization", "json_lines"),
    "lasting_conditions",
)
#: Used by the packages whose work is recorded in traces.
TRACED = (*BASE, "security", "tracing", "span_exporter")
INFRASTRUCTURE = (*TRACED, "store", "audit_log", "events", "rest")
#: The packages that ``api_modules`` registers; capacity uses layers above the others.
API_MODULES = tuple(
    sorted(
        name.name
        for node in ast.parse((ROOT / "tmf_apis" / "api_modules.py").read_text("utf-8")).body
        if isinstance(node, ast.ImportFrom) and node.module == "tmf_apis"
        for name in node.names
        if name.name != "capacity"
    )
)
OPERATIONS = (*INFRASTRUCTURE, *API_MODULES, "element_access")
#: What each package of ``tmf_apis`` may import of the others.
ALLOWED_IMPORTS = {
    "security": BASE,
    "tracing": (*BASE, "security", "span_exporter"),
    "span_exporter": (),
    "store": TRACED,
    "audit_log": (*BASE, "security", "store"),
    "events": (*TRACED, "store", "audit_log"),
    "rest": (*TRACED, "store", "audit_log", "events"),
    **dict.fromkeys(API_MODULES, INFRASTRUCTURE),
    "element_access": (*TRACED, "store", "events"),
    "fulfilment": OPERATIONS,
    "privacy": INFRASTRUCTURE,
    "fault_management": (*OPERATIONS, "fulfilment"),
    "reconciliation": (*OPERATIONS, "fulfilment", "fault_management"),
    "capacity": (*OPERATIONS, "fulfilment", "fault_management"),
    **dict.fromkeys(BASE, ()),
    "settings": ("setting_parsers", "setting_addresses"),
    "setting_addresses": ("setting_parsers",),
}
#: The packages of ``tmf_apis.rest``, each below the next.
REST_LAYERS = ("contracts", "views", "query", "pipeline", "http")
#: The packages that import adapters.
ELEMENT_PACKAGES = {
    *("element_access", "fulfilment", "fault_management", "reconciliation", "capacity"),
    *("inventory", "worker", "demo", "element_cli"),
}
#: The modules and packages that compose others; nothing else imports them.
COMPOSITION = {
    "__main__",
    "app",
    "audit_log_commands",
    "cli",
    "command_groups",
    "command_options",
    "health",
    "retention_kinds",
    "server",
    "token_scopes",
    "worker_heartbeat",
    "web",
    "worker",
    "console",
    "demo",
    "bulk_load",
    "element_cli",
    "http_process",
    "process_server",
    "privacy_commands",
}
#: Some commands are loaded when they are asked for.
_CONTEXT = click.Context(main)
COMMANDS = {
    name
    for name in main.list_commands(_CONTEXT)
    if not getattr(main.get_command(_CONTEXT, name), "hidden", False)
}
#: The file and the anchor of a link; the file is empty within a document.
LINK = re.compile(r"\]\(([^)#:]*)(?:#([^)]*))?\)")
FENCE = re.compile(r"```.*?```", re.DOTALL)
#: Documents that may only name files of this repository; a changelog also names former ones.
GUIDES = [
    document
    for document in DOCUMENTS
    if document.parent != ROOT or document.name in {"README.md", "CONTRIBUTING.md"}
]
#: Files that a reader creates, after docs/adding-an-api.md.
EXAMPLE_FILE = re.compile(r"(?:.*/)?(?:test_)?trouble_tickets(?:/.*)?(?:\.py)?")
#: Files that several API modules have, so that a document names no particular one.
MODULE_FILES = {"__init__.py", "actions.py", "model.py", "rules.py", "states.py"}


def name_of(path):
    return path.relative_to(ROOT).as_posix()


def prose_of(document):
    """Return the text of a document without its code blocks."""
    return FENCE.sub("", document.read_text("utf-8"))


def anchors(document):
    """Return the anchors of the headings of a document, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", prose_of(document), re.MULTILINE)
    texts = [re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading).lower() for heading in headings]
    return {re.sub(r"[^\w\- ]", "", text).replace(" ", "-") for text in texts}


def named_folders(text):
    """Return the folders that a text names, with or without a file in them."""
    bases = (ROOT, ROOT / "tmf_apis")
    names = [name.rpartition("/")[0] for name in re.findall(r"`([\w./-]+/[\w.-]*)`", text)]
    folders = {base / name for base in bases for name in names if (base / name).is_dir()}
    return {*bases, *folders, *(folder / name for folder in folders for name in names)}


def imports(path):
    """Return the dotted names that a module imports, wherever in it."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def packages_of(path):
    """Return the packages and modules of ``tmf_apis`` that a module imports."""
    return {
        name.split(".")[1]
        for name in imports(path)
        if name.startswith("tmf_apis.") and not name.endswith(".__version__")
    }


def defined_tests():
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


def test_the_table_of_commands_is_complete():
    named = set(re.findall(r"^\| `tmf ([\w-]+)` \|", README, re.MULTILINE))
    assert named == COMMANDS


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_every_command_in_a_document_exists(document):
    text = document.read_text("utf-8")
    assert set(re.findall(r"`(?:\.venv/bin/)?tmf ([a-z]+)", text)) <= COMMANDS


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_every_target_of_make_in_a_document_exists(document):
    named = set(re.findall(r"(?:`|^)make ([a-z-]+)", document.read_text("utf-8"), re.MULTILINE))
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    assert named <= targets


def test_make_runs_no_script_of_the_virtual_environment():
    """A script names its interpreter by its path, which may have blanks or be too long for that."""
    programs = set(re.findall(r"\$\(BIN\)/([\w-]+)", (ROOT / "Makefile").read_text("utf-8")))
    assert programs - {"pip"} == {"python"}  # pip is not run, only looked for


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_every_link_to_a_file_leads_somewhere(document):
    links = [path for path, _ in LINK.findall(prose_of(document))]
    assert [path for path in links if not (document.parent / path).exists()] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_every_anchor_of_a_link_is_that_of_a_heading(document):
    links = [
        ((document.parent / path).resolve() if path else document, anchor)
        for path, anchor in LINK.findall(prose_of(document))
        if anchor
    ]
    assert [anchor for target, anchor in links if anchor not in anchors(target)] == []


@pytest.mark.parametrize("document", GUIDES, ids=name_of)
def test_every_python_file_in_a_document_exists(document):
    """A file is named from the root, from ``tmf_apis/`` or from a folder that the text names."""
    text = document.read_text("utf-8")
    named = set(re.findall(r"(?<![\w./-])[\w./-]+\.py\b", text)) - MODULE_FILES
    folders = named_folders(text)
    missing = [
        name
        for name in named
        if not EXAMPLE_FILE.fullmatch(name)
        and not any((folder / name).is_file() for folder in folders)
    ]
    assert missing == []


@pytest.mark.parametrize("document", GUIDES, ids=name_of)
def test_every_module_and_class_in_a_document_exists(document):
    named = re.findall(r"`((?:tmf_apis|adapters|tests)(?:\.\w+)+)`", prose_of(document))
    for name in named:
        assert pkgutil.resolve_name(name), name


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_every_setting_in_a_document_exists(document):
    named = set(re.findall(r"`(TMF_[A-Z_]+)\b[^`<]*`", document.read_text("utf-8")))
    settings = set(re.findall(r"^(TMF_\w+)", README, re.MULTILINE))
    assert named <= settings | {"TMF_CREDENTIAL_"}


def test_every_document_can_be_found_from_the_first_page():
    for document in (ROOT / "docs").glob("*.md"):
        assert f"(docs/{document.name})" in README


def test_the_map_of_packages_is_complete():
    listed = re.findall(r"^\| `((?:tmf_apis/)?\w+)/` \|", README, re.MULTILINE)
    packages = [name_of(path.parent) for path in (ROOT / "tmf_apis").glob("*/__init__.py")]
    assert sorted(listed) == sorted(["adapters", "openapi", *packages])


def test_every_test_and_module_of_the_clauses_exists():
    known = defined_tests()
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
    numbers = [int(path.name[:4]) for path in records]
    assert numbers == sorted(set(numbers))
    for path in records:
        first, *rest = path.read_text("utf-8").splitlines()
        assert first.startswith("# "), path
        assert any(line.startswith("Turned down") for line in rest), path


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_every_module_says_what_it_is_for(path):
    assert ast.get_docstring(ast.parse(path.read_text("utf-8")))


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_package_imports_lower_layers_only(path):
    parts = path.relative_to(ROOT).with_suffix("").parts
    used = packages_of(path)
    if parts[0] == "adapters":
        assert used <= {"settings"}
        return
    own = parts[1]
    if own in ALLOWED_IMPORTS:
        assert used <= {*ALLOWED_IMPORTS[own], own}
    elif own not in COMPOSITION:
        assert used.isdisjoint(COMPOSITION), "only the composing modules know everything"


@pytest.mark.parametrize("path", sorted((ROOT / "tmf_apis" / "rest").rglob("*.py")), ids=name_of)
def test_a_package_of_rest_imports_lower_ones_only(path):
    own = path.parent.name
    names = [name.split(".") for name in imports(path) if name.startswith("tmf_apis.rest.")]
    if own in REST_LAYERS:
        allowed = REST_LAYERS[: REST_LAYERS.index(own) + 1]
        assert {name[2] for name in names} <= set(allowed)


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_only_packages_that_work_with_elements_import_adapters(path):
    parts = path.relative_to(ROOT).with_suffix("").parts
    if parts[0] == "tmf_apis" and parts[1] not in ELEMENT_PACKAGES:
        assert "adapters" not in {name.split(".")[0] for name in imports(path)}


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_only_the_demo_imports_the_lab(path):
    if path.is_relative_to(ROOT / "adapters" / "lab") or path.is_relative_to(
        ROOT / "tmf_apis" / "demo"
    ):
        return
    assert not [name for name in imports(path) if f"{name}.".startswith("adapters.lab.")]


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
