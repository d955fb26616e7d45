"""The facts of an OpenAPI document as short lines, so that two documents can be compared.

``python tests/support/contracts/facts.py`` updates ``published.json`` from the published contracts
in ``../shared/specs``; the facts of contracts that are not there remain.
"""

import json
from collections.abc import Iterator
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[3]
PUBLISHED_DIR = ROOT.parent / "shared" / "specs"
FINGERPRINT = Path(__file__).with_name("published.json")
CONTRACTS_DIR = ROOT / "openapi"

METHODS = ("get", "post", "put", "patch", "delete")
CONSTRAINTS = ("default", "deprecated", "minimum", "maximum", "minItems", "nullable")
#: Members that an attribute may have beside an ``allOf`` with one reference.
REFERENCE_SIBLINGS = {"allOf", "description", "x-reading", *CONSTRAINTS}


def read_yaml(file):
    """Return a YAML document."""
    return yaml.load(file.read_bytes(), yaml.CSafeLoader)


def document_facts(document):
    """Return the facts of a document: operation or schema name -> sorted lines."""
    operations = {
        f"{method.upper()} {path}": sorted(set(_operation_facts(document, item[method])))
        for path, item in document["paths"].items()
        for method in METHODS
        if method in item
    }
    schemas = {
        name: sorted(set(_schema_facts(schema, "")))
        for name, schema in document["components"]["schemas"].items()
    }
    return {"operations": operations, "schemas": schemas}


def _operation_facts(document, operation) -> Iterator[str]:
    yield f"operationId {operation['operationId']}"
    yield from (f"tag {tag}" for tag in operation["tags"])
    for parameter in operation.get("parameters", ()):
        resolved = _resolved_node(document, parameter)
        suffix = " required" if resolved.get("required") else ""
        yield f"{resolved['in']} {resolved['name']}: {_kind(resolved['schema'])}{suffix}"
    if "requestBody" in operation:
        body = _resolved_node(document, operation["requestBody"])
        yield "body required" if body.get("required") else "body optional"
        yield from _content_facts(body, "body")
    for status, response in operation["responses"].items():
        resolved = _resolved_node(document, response)
        yield f"answer {status}"
        yield from _content_facts(resolved, status)
        for name, header in resolved.get("headers", {}).items():
            yield f"{status} header {name}: {_kind(_resolved_node(document, header)['schema'])}"


def _content_facts(part, label) -> Iterator[str]:
    for media, content in part.get("content", {}).items():
        yield from _schema_facts(content["schema"], f"{label} {media.partition(';')[0]}")


def _resolved_node(document, part):
    while "$ref" in part:
        target = document
        for name in part["$ref"].removeprefix("#/").split("/"):
            target = target[name]
        part = target
    return part


def _name(reference):
    return "#" + reference.rpartition("/")[2]


def _kind(schema):
    if "$ref" in schema:
        return _name(schema["$ref"])
    return "/".join(schema[key] for key in ("type", "format") if key in schema)


def _schema_facts(schema, path) -> Iterator[str]:
    """Yield the facts of a schema; ``path`` is, for example, ``validFor`` or ``note[].text``."""
    parts = schema.get("allOf", ())
    if len(parts) == 1 and "$ref" in parts[0] and path and set(schema) <= REFERENCE_SIBLINGS:
        schema = {**schema, **parts[0]}
        del schema["allOf"]
    yield f"{path}: {_kind(schema)}"
    yield from (f"{path} {key} {json.dumps(schema[key])}" for key in CONSTRAINTS if key in schema)
    yield from (f"{path} enum {value}" for value in schema.get("enum", ()))
    yield from (f"{path} required {name}" for name in schema.get("required", ()))
    yield from _composition_facts(schema, path)
    yield from _member_facts(schema, path)
    yield from _discriminator_facts(schema.get("discriminator"), path)


def _composition_facts(schema, path) -> Iterator[str]:
    """Yield the facts of allOf, oneOf and anyOf; inline allOf parts count as the schema itself."""
    for key in ("allOf", "oneOf", "anyOf"):
        for part in schema.get(key, ()):
            if "$ref" in part:
                yield f"{path} {key} {_name(part['$ref'])}"
            else:
                yield from _schema_facts(part, path if key == "allOf" else f"{path}|")


def _member_facts(schema, path) -> Iterator[str]:
    for name, attribute in schema.get("properties", {}).items():
        yield from _schema_facts(attribute, f"{path}.{name}" if path else name)
    if "items" in schema:
        yield from _schema_facts(schema["items"], f"{path}[]")
    if isinstance(schema.get("additionalProperties"), dict):
        yield from _schema_facts(schema["additionalProperties"], f"{path}{{}}")


def _discriminator_facts(discriminator, path) -> Iterator[str]:
    if discriminator:
        yield f"{path} discriminator {discriminator['propertyName']}"
        for name, reference in discriminator.get("mapping", {}).items():
            yield f"{path} mapping {name} {_name(reference)}"


def published_facts():
    """Return the facts of the published contracts that this project has, read from their files."""
    ours = {file.stem for file in CONTRACTS_DIR.glob("TMF*.yaml")}
    files = {file.stem: file for file in PUBLISHED_DIR.rglob("TMF*.yaml")}
    return {stem: document_facts(read_yaml(files[stem])) for stem in sorted(ours & files.keys())}


def stored_facts():
    """Return the stored facts of the published contracts."""
    return json.loads(FINGERPRINT.read_text("utf-8"))


def fingerprint_text(facts_by_document):
    """Return the text of ``published.json``: one operation or schema per line."""
    documents = []
    for stem, parts in facts_by_document.items():
        sections = []
        for section, entries in parts.items():
            lines = ",\n".join(
                f"{json.dumps(name)}:{json.dumps(lines, separators=(',', ':'))}"
                for name, lines in entries.items()
            )
            sections.append(f"{json.dumps(section)}:{{\n{lines}\n}}")
        documents.append(f"{json.dumps(stem)}:{{\n" + ",\n".join(sections) + "\n}")
    return "{\n" + ",\n".join(documents) + "\n}\n"


def known_facts():
    """Return the facts of all published contracts; those without a file are the stored ones."""
    return dict(sorted((stored_facts() | published_facts()).items()))


if __name__ == "__main__":
    if not published_facts():
        raise SystemExit(f"there is no published contract in {PUBLISHED_DIR}")
    FINGERPRINT.write_text(fingerprint_text(known_facts()), "utf-8")
