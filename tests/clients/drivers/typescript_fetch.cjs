// Uses a client of openapi-generator (typescript-fetch): create, list, read, patch and delete.
const fs = require("node:fs");

const task = JSON.parse(fs.readFileSync(0, "utf8"));
const client = require(`${task.folder}/index.js`);
const configuration = new client.Configuration({ basePath: task.url });
const apis = Object.entries(client)
  .filter(([name, value]) => name.endsWith("Api") && typeof value === "function")
  .map(([, value]) => new value(configuration));

const call = (operation, parameters) =>
  apis.find((api) => operation in api)[operation](parameters);
const model = (schema) => schema.replaceAll("_", "");
const parameter = (schema) => model(schema)[0].toLowerCase() + model(schema).slice(1);
const body = (schema, value) => ({ [parameter(schema)]: client[`${model(schema)}FromJSON`](value) });

function contains(value, expected) {
  for (const [name, part] of Object.entries(expected)) {
    const key = name.startsWith("@") ? `at${name[1].toUpperCase()}${name.slice(2)}` : name;
    if (value[key] !== part) throw new Error(`${key}: ${value[key]} is not ${part}`);
  }
}

async function run({ operations, ...step }) {
  const done = [];
  let id;
  if (operations.create) {
    const created = await call(operations.create, body(step.create_schema, step.body));
    contains(created, step.expected);
    id = created.id;
    done.push("create");
  }
  if (operations.list) {
    const items = await call(operations.list, { limit: 100 });
    id = id ?? items[0].id;
    done.push("list");
  }
  if (operations.retrieve) {
    contains(await call(operations.retrieve, { id }), { id, ...step.expected });
    done.push("read");
  }
  if (operations.patch && Object.keys(step.patch).length) {
    const change = body(step.patch_schema, step.patch);
    contains(await call(operations.patch, { id, ...change }), step.patch);
    done.push("patch");
  }
  if (operations.delete && step.delete) {
    await call(operations.delete, { id });
    done.push("delete");
  }
  return done;
}

(async () => {
  for (const step of task.steps) {
    const { resource } = step;
    try {
      console.log(JSON.stringify({ resource, done: await run(step) }));
    } catch (error) {
      const text = error.response ? await error.response.text() : String(error);
      console.log(JSON.stringify({ resource, error: text }));
    }
  }
})();
