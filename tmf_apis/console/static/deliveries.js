"use strict";

// Deliveries and subscriptions, through the administration API: what a script can do, this page does.
const LIMIT = 25;
const token = document.getElementById("token");
const message = document.getElementById("message");
const form = document.getElementById("filter");
let offset = 0;

async function call(method, path) {
  const headers = { Accept: "application/json" };
  if (token && token.value.trim()) headers.Authorization = `Bearer ${token.value.trim()}`;
  const answer = await fetch(path, { method, headers, credentials: "omit" });
  const body = answer.status === 204 ? null : await answer.json();
  if (!answer.ok) throw new Error(`${body.reason}: ${body.message}`);
  return { body, total: Number(answer.headers.get("X-Total-Count")) };
}

function element(name, text, kind) {
  const made = document.createElement(name);
  if (text !== undefined) made.textContent = text;
  if (kind) made.className = kind;
  return made;
}

function cell(content, kind) {
  const made = element("td", undefined, kind);
  made.append(content instanceof Node ? content : document.createTextNode(content));
  return made;
}

function mark(state) {
  const kinds = { delivered: "good", active: "good", parked: "bad", disabled: "bad", pending: "warn" };
  return element("span", state, `mark ${kinds[state] || ""}`);
}

// A name that breaks between its words: CategoryCreateEvent.
function name(text) {
  const made = element("span");
  for (const word of text.split(/(?=[A-Z])/)) made.append(word, element("wbr"));
  return made;
}

function when(text) {
  const made = element("time", text.replace("T", " ").slice(0, 19));
  made.dateTime = text;
  return made;
}

function act(label, path, more) {
  const made = element("button", label);
  made.type = "button";
  made.setAttribute("aria-label", `${label} ${more}`);
  made.addEventListener("click", async () => {
    made.disabled = true;
    await attempt(async () => {
      const { body } = await call("POST", path);
      await show();
      message.textContent = body ? `${body.replayed} to be sent again.` : "Done.";
    });
    made.disabled = false;
  });
  return made;
}

function fill(table, rows) {
  const body = document.querySelector(`#${table} tbody`);
  body.replaceChildren(...rows);
  document.getElementById(table).hidden = rows.length === 0;
  document.getElementById(table).nextElementSibling.hidden = rows.length > 0;
}

function subscription(one) {
  const row = element("tr");
  const who = element("span", one.callback, "long");
  if (one.query) who.append(element("br"), element("code", one.query));
  const state = element("span");
  state.append(mark(one.state));
  if (one.reason) state.append(element("div", one.reason, "hint"));
  else if (one.failures) state.append(element("div", `${one.failures} failures in a row`, "hint"));
  const counts = ["pending", "delivered", "parked"].map((name) => cell(String(one.deliveries[name]), "count"));
  const acts = element("span");
  const path = `/admin/subscriptions/${encodeURIComponent(one.id)}`;
  if (one.state !== "active") acts.append(act("Enable", `${path}/enable`, one.callback));
  else if (one.deliveries.parked) acts.append(act("Send parked", `${path}/replay`, one.callback));
  row.append(cell(who), cell(`${one.api} ${one.version}`), cell(state), ...counts, cell(acts));
  return row;
}

function attempts(one) {
  if (!one.log || one.log.length === 0) return document.createTextNode("none yet");
  const made = element("details");
  const last = one.log[one.log.length - 1];
  made.append(element("summary", `${one.tries}, last: ${last.error || last.status}`, "long"));
  const list = element("ol");
  for (const entry of one.log) {
    const line = element("li");
    line.append(when(entry.at), ` ${entry.error || entry.status}, ${entry.took} s`);
    list.append(line);
  }
  made.append(list);
  return made;
}

function delivery(one) {
  const row = element("tr");
  const state = element("span");
  state.append(mark(one.state));
  if (one.reason) state.append(element("div", one.reason, "hint"));
  const again = one.state === "pending" ? "" : act("Send again", `/admin/deliveries/${encodeURIComponent(one.id)}/replay`, one.type);
  row.append(cell(when(one.created)), cell(name(one.type)), cell(element("code", one.resource)), cell(state), cell(attempts(one)), cell(again));
  return row;
}

async function show() {
  const wanted = new URLSearchParams({ limit: LIMIT, offset });
  for (const [name, value] of new FormData(form)) if (value.trim()) wanted.set(name, value.trim());
  const [who, what] = await Promise.all([
    call("GET", "/admin/subscriptions?limit=100"),
    call("GET", `/admin/deliveries?${wanted}`),
  ]);
  fill("subscriptions", who.body.map(subscription));
  fill("deliveries", what.body.map(delivery));
  const end = offset + what.body.length;
  document.getElementById("range").textContent = what.total ? `${offset + 1} to ${end} of ${what.total}` : "";
  document.getElementById("earlier").disabled = offset === 0;
  document.getElementById("later").disabled = end >= what.total;
}

async function attempt(deed) {
  message.textContent = "";
  try {
    await deed();
  } catch (error) {
    message.textContent = error.message;
  }
}

function turn(pages) {
  offset = Math.max(0, offset + pages * LIMIT);
  attempt(show);
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  offset = 0;
  attempt(show);
});
document.getElementById("earlier").addEventListener("click", () => turn(-1));
document.getElementById("later").addEventListener("click", () => turn(1));
if (token) {
  token.value = sessionStorage.getItem("token") || "";
  token.addEventListener("change", () => {
    sessionStorage.setItem("token", token.value.trim());
    attempt(show);
  });
  document.getElementById("credentials").addEventListener("submit", (event) => event.preventDefault());
}
if (!token || token.value) attempt(show);
