"use strict";

// The page of deliveries and subscriptions. It only uses the administration API.
const PAGE_SIZE = 25;
const token = document.getElementById("token");
const message = document.getElementById("message");
const form = document.getElementById("filter");
let offset = 0;

async function call(method, path) {
  const headers = { Accept: "application/json" };
  if (token && token.value.trim()) headers.Authorization = `Bearer ${token.value.trim()}`;
  const response = await fetch(path, { method, headers, credentials: "omit" });
  const body = response.status === 204 ? null : await response.json();
  if (!response.ok) throw new Error(`${body.reason}: ${body.message}`);
  return { body, total: Number(response.headers.get("X-Total-Count")) };
}

function createElement(name, text, className) {
  const element = document.createElement(name);
  if (text !== undefined) element.textContent = text;
  if (className) element.className = className;
  return element;
}

function createCell(content, className) {
  const cell = createElement("td", undefined, className);
  cell.append(content instanceof Node ? content : document.createTextNode(content));
  return cell;
}

function stateMark(state) {
  const classes = { delivered: "good", active: "good", parked: "bad", disabled: "bad", pending: "warn" };
  return createElement("span", state, `mark ${classes[state] || ""}`);
}

// A name with line breaks allowed between its words: CategoryCreateEvent.
function breakableName(text) {
  const element = createElement("span");
  for (const word of text.split(/(?=[A-Z])/)) element.append(word, createElement("wbr"));
  return element;
}

function timestamp(text) {
  const element = createElement("time", text.replace("T", " ").slice(0, 19));
  element.dateTime = text;
  return element;
}

function actionButton(label, path, target) {
  const button = createElement("button", label);
  button.type = "button";
  button.setAttribute("aria-label", `${label} ${target}`);
  button.addEventListener("click", async () => {
    button.disabled = true;
    await showErrors(async () => {
      const { body } = await call("POST", path);
      await load();
      message.textContent = body ? `${body.replayed} to be sent again.` : "Done.";
    });
    button.disabled = false;
  });
  return button;
}

function fillTable(id, rows) {
  const table = document.getElementById(id);
  table.querySelector("tbody").replaceChildren(...rows);
  table.hidden = rows.length === 0;
  table.nextElementSibling.hidden = rows.length > 0;
}

function subscriptionRow(subscription) {
  const row = createElement("tr");
  const callback = createElement("span", subscription.callback, "long");
  if (subscription.query) callback.append(createElement("br"), createElement("code", subscription.query));
  const state = createElement("span");
  state.append(stateMark(subscription.state));
  if (subscription.reason) state.append(createElement("div", subscription.reason, "hint"));
  else if (subscription.failures) state.append(createElement("div", `${subscription.failures} failures in a row`, "hint"));
  const counts = ["pending", "delivered", "parked"].map((name) => createCell(String(subscription.deliveries[name]), "count"));
  const actions = createElement("span");
  const path = `/admin/subscriptions/${encodeURIComponent(subscription.id)}`;
  if (subscription.state !== "active") actions.append(actionButton("Enable", `${path}/enable`, subscription.callback));
  else if (subscription.deliveries.parked) actions.append(actionButton("Send parked", `${path}/replay`, subscription.callback));
  row.append(createCell(callback), createCell(`${subscription.api} ${subscription.version}`), createCell(state), ...counts, createCell(actions));
  return row;
}

function attemptList(delivery) {
  if (!delivery.log || delivery.log.length === 0) return document.createTextNode("none yet");
  const details = createElement("details");
  const last = delivery.log[delivery.log.length - 1];
  details.append(createElement("summary", `${delivery.tries}, last: ${last.error || last.status}`, "long"));
  const list = createElement("ol");
  for (const attempt of delivery.log) {
    const item = createElement("li");
    item.append(timestamp(attempt.at), ` ${attempt.error || attempt.status}, ${attempt.took} s`);
    list.append(item);
  }
  details.append(list);
  return details;
}

function deliveryRow(delivery) {
  const row = createElement("tr");
  const state = createElement("span");
  state.append(stateMark(delivery.state));
  if (delivery.reason) state.append(createElement("div", delivery.reason, "hint"));
  const path = `/admin/deliveries/${encodeURIComponent(delivery.id)}/replay`;
  const action = delivery.state === "pending" ? "" : actionButton("Send again", path, delivery.type);
  row.append(createCell(timestamp(delivery.created)), createCell(breakableName(delivery.type)), createCell(createElement("code", delivery.resource)), createCell(state), createCell(attemptList(delivery)), createCell(action));
  return row;
}

async function load() {
  const query = new URLSearchParams({ limit: PAGE_SIZE, offset });
  for (const [name, value] of new FormData(form)) if (value.trim()) query.set(name, value.trim());
  const [subscriptions, deliveries] = await Promise.all([
    call("GET", "/admin/subscriptions?limit=100"),
    call("GET", `/admin/deliveries?${query}`),
  ]);
  fillTable("subscriptions", subscriptions.body.map(subscriptionRow));
  fillTable("deliveries", deliveries.body.map(deliveryRow));
  const end = offset + deliveries.body.length;
  document.getElementById("range").textContent = deliveries.total ? `${offset + 1} to ${end} of ${deliveries.total}` : "";
  document.getElementById("newer").disabled = offset === 0;
  document.getElementById("older").disabled = end >= deliveries.total;
}

async function showErrors(action) {
  message.textContent = "";
  try {
    await action();
  } catch (error) {
    message.textContent = error.message;
  }
}

function movePages(count) {
  offset = Math.max(0, offset + count * PAGE_SIZE);
  showErrors(load);
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  offset = 0;
  showErrors(load);
});
document.getElementById("newer").addEventListener("click", () => movePages(-1));
document.getElementById("older").addEventListener("click", () => movePages(1));
if (token) {
  token.value = sessionStorage.getItem("token") || "";
  token.addEventListener("change", () => {
    sessionStorage.setItem("token", token.value.trim());
    showErrors(load);
  });
  document.getElementById("credentials").addEventListener("submit", (event) => event.preventDefault());
}
if (!token || token.value) showErrors(load);
