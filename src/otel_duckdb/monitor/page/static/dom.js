// Elements from data: text is only ever set as text.

export function h(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if ((value ?? false) === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.flat().filter((child) => (child ?? null) !== null));
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

export const fact = (name, value) => [h("dt", {}, name), h("dd", {}, value)];

export function search(placeholder, label, oninput) {
  return h("input", { type: "search", placeholder, "aria-label": label, oninput });
}

// options: [[value, words]]
export function choice(options, pick) {
  const select = h("select", { onchange: () => pick(select.value) }, options.map(([value, words]) => h("option", { value }, words)));
  return select;
}

// Buttons of which `press` marks one.
export function group(label, titles, pick) {
  const buttons = Object.entries(titles).map(([name, title]) => h("button", { type: "button", name, onclick: () => pick(name) }, title));
  return { element: h("div", { class: "group", role: "group", "aria-label": label }, buttons), press: (name) => buttons.forEach((each) => each.setAttribute("aria-pressed", String(each.name === name))) };
}

// Shows and says what came of an action.
export function tell(place, message) {
  place.replaceChildren(message);
  place.hidden = false;
  announce(message.textContent);
}

// One node a key, made by `make(what)`: one that were made anew would lose its focus. Those used last are kept.
export function once(make) {
  const made = new Map();
  return (key, what) => {
    const node = made.get(key) ?? make(what);
    made.delete(key);
    made.set(key, node);
    if (made.size > 500) made.delete(made.keys().next().value);
    return node;
  };
}

// A button that acts at its second press; `asked` is what it says after the first.
export function deliberate(label, act, asked = "Press again", name = null) {
  let timer = 0;
  const rest = () => {
    clearTimeout(timer);
    timer = 0;
    setText(button, label);
  };
  const button = h("button", { type: "button", class: "small danger", "aria-label": name, onclick: () => {
    const sure = timer;
    rest();
    if (sure) act(button);
    else {
      setText(button, asked);
      announce(`Press again: ${name ?? label}`);
      timer = setTimeout(rest, 5000);
    }
  } }, label);
  return button;
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
