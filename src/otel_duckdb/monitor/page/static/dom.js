// Elements from data: text is only ever set as text.

export function h(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return node;
}

export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

let announcing = 0;

// Says it to screen readers, the last of what comes in quick succession.
export function announce(text) {
  clearTimeout(announcing);
  announcing = setTimeout(() => setText(document.getElementById("live"), text), 250);
}

export function card(title, ...children) {
  return h("section", { class: "card" }, h("h2", {}, title), ...children);
}

export function notice(title, advice, kind = "empty") {
  return h("div", { class: `notice ${kind}`, role: kind === "error" ? "alert" : null }, h("p", { class: "what" }, title), h("p", {}, advice));
}

// Why something was not done.
export function refusal(error) {
  return notice(error.message, [401, 403].includes(error.status) ? "Acting needs the monitor's key; enter it under About." : "It may be over already; else try again in a moment.", "error");
}

export function badge(text, kind = text) {
  return h("span", { class: `badge ${kind}` }, text);
}

export function skeleton(lines = 4) {
  return h("div", { class: "skeleton", "aria-hidden": "true" }, Array.from({ length: lines }, () => h("div")));
}

// A share from 0 to 1 as a bar beside its figure.
export function bar(share, label) {
  const fill = h("span");
  fill.style.width = `${Math.min(100, Math.max(0, share * 100))}%`;
  return h("span", { class: `bar${share > 0.95 ? " critical" : share > 0.8 ? " warning" : ""}` }, h("span", { class: "track", "aria-hidden": "true" }, fill), h("span", {}, label));
}
