// The state of the page lives in its address: #/view?range=15m&sort=total …

export function read() {
  const [view, query = ""] = location.hash.replace(/^#\/?/, "").split("?");
  return { view: view || "overview", parameters: new URLSearchParams(query) };
}

export function link(view, parameters = {}) {
  const query = new URLSearchParams(Object.entries(parameters).filter(([, value]) => (value ?? "") !== ""));
  return `#/${view}${query.size ? `?${query}` : ""}`;
}

// Changes some parameters of the present view; null removes one. `quietly` draws nothing anew.
export function change(changes, quietly = false) {
  const { view, parameters } = read();
  const next = link(view, { ...Object.fromEntries(parameters), ...changes });
  if (quietly) history.replaceState(null, "", next);
  else location.hash = next;
}
