"""Clients in TypeScript: compiled with strict checks, then run by Node.js."""

import json
import shutil

from tests.clients import toolbox

_TSC = (
    *("--strict", "--target", "es2022", "--lib", "es2022,dom", "--skipLibCheck"),
    *("--module", "nodenext", "--moduleResolution", "nodenext"),
)


def compile_fetch_client(folder):
    """Compile a client of typescript-fetch and return the folder of its JavaScript."""
    modules, environment = toolbox.node_modules()
    compiler = modules / "node_modules" / ".bin" / "tsc"
    compiled = folder / "compiled"
    options = ("--strict", "--target", "es2022", "--lib", "es2022,dom", "--module", "commonjs")
    run = (compiler, *options, "--outDir", compiled, folder / "index.ts")
    toolbox.run(*run, env=environment, timeout=200)
    return compiled


def use_fetch_client(compiled, task):
    """Run the steps of a task with a compiled client and return resource -> result."""
    _, environment = toolbox.node_modules()
    driver = toolbox.DRIVERS / "typescript_fetch.cjs"
    output = toolbox.run("node", driver, input=json.dumps(task), env=environment, timeout=200)
    return {line["resource"]: line for line in map(json.loads, output.splitlines())}


def use_types(document, folder, task):
    """Generate types with openapi-typescript, compile a program that uses them, and run it.

    The compiler checks the paths, bodies and answers of the program against the types.
    """
    modules, environment = toolbox.node_modules()
    bin = modules / "node_modules" / ".bin"
    toolbox.run(bin / "openapi-typescript", document, "-o", folder / "api.d.ts", env=environment)
    program = (toolbox.DRIVERS / "openapi_typescript.ts").read_text()
    steps = "".join(_program_step(step) for step in task["steps"])
    (folder / "main.mts").write_text(program.replace("// STEPS", steps))
    (folder / "node_modules").symlink_to(modules / "node_modules")
    toolbox.run(bin / "tsc", *_TSC, folder / "main.mts", env=environment, timeout=200)
    environment = {**environment, "TMF_URL": task["url"]}
    output = toolbox.run("node", folder / "main.mjs", env=environment, timeout=200)
    shutil.rmtree(folder, ignore_errors=True)
    return {line["resource"]: line for line in map(json.loads, output.splitlines())}


def _program_step(step):
    """Return the statements of a step, whose bodies are literals that the compiler checks."""
    path, operations = f"/{step['resource']}", step["operations"]
    lines = [f"await step({json.dumps(step['resource'])}, async (done) => {{", "let id = '';"]
    by_id = "params: { path: { id } }"
    page = "params: { query: { limit: 100 } }"
    if "create" in operations:
        body = json.dumps(step["body"])
        lines += [
            f"const created = must(await api.POST('{path}', {{ body: {body} }}));",
            "id = created.id ?? ''; done.push('create');",
        ]
    if "list" in operations:
        lines += [
            f"const items = must(await api.GET('{path}', {{ {page} }}));",
            "id = id || (items[0].id ?? ''); done.push('list');",
        ]
    if "retrieve" in operations:
        lines += [
            f"const read = must(await api.GET('{path}/{{id}}', {{ {by_id} }}));",
            "same(read.id, id); done.push('read');",
        ]
    if "patch" in operations and step["patch"]:
        name = next(iter(step["patch"]))
        request = f"{{ {by_id}, body: {json.dumps(step['patch'])} }}"
        lines += [
            f"const changed = must(await api.PATCH('{path}/{{id}}', {request}));",
            f"same(changed.{name}, {json.dumps(step['patch'][name])}); done.push('patch');",
        ]
    if "delete" in operations and step["delete"]:
        lines += [f"await api.DELETE('{path}/{{id}}', {{ {by_id} }}); done.push('delete');"]
    return "\n".join([*lines, "});", ""])
