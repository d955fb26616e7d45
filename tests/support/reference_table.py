"""The tables of docs/references.md, derived from the contracts and the policies.

Write the document again with ``python -m tests.support.reference_table``.
"""

from tests.support.contract_collections import COLLECTIONS
from tests.support.paths import ROOT
from tests.support.policies import policy_of
from tests.support.reference_bodies import KINDS
from tmf_apis.rest.contracts.reference_schema import ENTITY, ReferenceSchema, references_of
from tmf_apis.rest.pipeline.named_references import PARTY_ATTRIBUTES, ReferenceExtractor
from tmf_apis.rest.pipeline.party_guard import is_public, is_read_only
from tmf_apis.rest.pipeline.party_rules import Setter

DOCUMENT = ROOT / "docs" / "references.md"
START, END = "<!-- generated: {} -->", "<!-- end -->"
PARTY = "party"


def roots_of(kind):
    """Return the documents and schemas that serve a kind."""
    return [(c.contract.document, c.schema) for c in COLLECTIONS if c.kind == kind]


def reference_rows():
    """Return kind, shortest path, target and access of every reference that a party can send."""
    rows = {}
    for kind in sorted(KINDS):
        policy = policy_of(kind)
        if is_read_only(policy):
            continue
        schema = ReferenceSchema(kind, roots_of(kind), KINDS)
        extractor = ReferenceExtractor(schema, policy.party_rules, None)
        for path, node in sorted(references_of(schema), key=lambda item: (len(item[0]), item[0])):
            is_party = path[-1] in PARTY_ATTRIBUTES
            target = "party" if is_party else node.target
            access = access_of(extractor, path, node) if not is_party else PARTY
            rows.setdefault((kind, path[-1], target, access), ".".join(path))
    return [(kind, path, target, access) for (kind, _, target, access), path in rows.items()]


def access_of(extractor, path, node):
    """Return the access that a party needs, as the document names it."""
    access = extractor.access(path, node.kind).value
    if node.target == ENTITY and access == "anywhere":
        return "see, if it names a kind of this server"
    if node.kind in KINDS and is_public(policy_of(node.kind)) and access == "see":
        return "anywhere (catalogue)"
    return access


def attribute_rows():
    """Return kind, setter and attributes of everything that its owner does not decide alone."""
    for kind in sorted(KINDS):
        policy = policy_of(kind)
        rules = policy.party_rules
        if is_read_only(policy):
            yield kind, Setter.OPERATOR.value, "all: parties can only read them"
            continue
        for setter in (Setter.OPERATOR, Setter.CREATOR, Setter.ON_CREATE):
            paths = sorted(path for path, value in rules.setters.items() if value is setter)
            if paths:
                yield kind, setter.value, ", ".join(f"`{path}`" for path in paths)
        if policy.server_owned:
            names = ", ".join(f"`{name}`" for name in sorted(policy.server_owned))
            yield kind, "server", names
        if rules.states is not None:
            states = ", ".join(f"`{state}`" for state in sorted(rules.states))
            yield kind, "owner", f"`{policy.lifecycle.attribute}`: only to {states}"
        if rules.deleted_by is not Setter.OWNER:
            yield kind, rules.deleted_by.value, "deletion"


def tables():
    """Return the generated parts of the document by name."""
    references = [
        f"| {kind} | `{path}` | {target} | {access} |"
        for kind, path, target, access in reference_rows()
    ]
    attributes = [f"| {kind} | {setter} | {text} |" for kind, setter, text in attribute_rows()]
    return {
        "references": [
            "| kind | attribute | names | a party must |",
            "| --- | --- | --- | --- |",
            *references,
        ],
        "attributes": [
            "| kind | who decides | attributes |",
            "| --- | --- | --- |",
            *attributes,
        ],
    }


def with_tables(text):
    """Return the document with its tables as they follow from contracts and policies."""
    for name, lines in tables().items():
        head, start, rest = text.partition(START.format(name))
        _, end, tail = rest.partition(END)
        text = f"{head}{start}\n" + "\n".join(lines) + f"\n{end}{tail}"
    return text


if __name__ == "__main__":
    DOCUMENT.write_text(with_tables(DOCUMENT.read_text("utf-8")), "utf-8")
