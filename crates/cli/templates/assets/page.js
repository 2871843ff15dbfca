// What makes the page live and comfortable. Without this script, links and forms do the same with a reload.
"use strict";

const PAUSE = 2000;
const TYPING = 150;
const EDITING = 500;
/** How often a page in the background asks, so that its session does not end. */
const BACKGROUND = 600_000;

/** The ETag of the page as shown. It belongs to one address. */
let tag = null;
let tagOf = null;
/** The live parts as the server sent them. The script itself changes them a little. */
const sources = new WeakMap();
/** The request that is running. A new one replaces it. */
let running = null;

function element(id) {
  return document.getElementById(id);
}

/** Replaces the live parts of the page by those of another document, and keeps focus and opened details. */
function take(other) {
  for (const fresh of other.querySelectorAll("[data-live]")) {
    const shown = element(fresh.id);
    if (!shown || sources.get(shown) === fresh.innerHTML) continue;
    const focused = shown.contains(document.activeElement) ? describe(document.activeElement) : null;
    const open = new Map([...shown.querySelectorAll("details[id]")].map((one) => [one.id, one.open]));
    const next = document.importNode(fresh, true);
    sources.set(next, fresh.innerHTML);
    shown.replaceWith(next);
    for (const details of next.querySelectorAll("details[id]")) {
      if (open.has(details.id)) details.open = open.get(details.id);
    }
    prepare(next);
    if (focused) next.querySelector(focused)?.focus({ preventScroll: true });
  }
  const title = other.querySelector("title");
  if (title) document.title = title.textContent;
}

/** A selector that finds the same element in the new part. */
function describe(one) {
  if (one.id) return `#${CSS.escape(one.id)}`;
  const address = one.getAttribute("href");
  return address ? `a[href="${CSS.escape(address)}"]` : null;
}

function connected(works, text) {
  const link = document.querySelector("[data-link]");
  if (!link) return;
  link.hidden = false;
  link.classList.toggle("lost", !works);
  if (link.textContent !== text) link.textContent = text;
}

/** Asks for the page at an address and shows its live parts. */
async function load(address, wanted) {
  running?.abort();
  const request = new AbortController();
  running = request;
  const headers = tag && tagOf === address ? { "If-None-Match": tag } : {};
  try {
    const answer = await fetch(address, { headers, signal: request.signal });
    if (answer.status === 401) {
      connected(false, "Session ended");
      return;
    }
    if (answer.status === 200) {
      const text = await answer.text();
      take(new DOMParser().parseFromString(text, "text/html"));
      if (wanted) history.replaceState(null, "", address);
    }
    if (answer.ok || answer.status === 304) {
      tag = answer.headers.get("ETag");
      tagOf = address;
      connected(true, "Live");
    } else {
      connected(false, "Problem");
    }
  } catch (error) {
    if (error.name !== "AbortError") connected(false, "Not connected");
  } finally {
    if (running === request) running = null;
  }
}

function here() {
  return location.pathname + location.search;
}

/** Asks every two seconds, but not while the page is hidden or another request runs. A page that does not do so asks rarely. */
function follow() {
  if (document.body.dataset.still === undefined) {
    setInterval(() => {
      if (!document.hidden && !running) load(here(), false);
    }, PAUSE);
    document.addEventListener("visibilitychange", () => {
      if (!document.hidden) load(here(), false);
    });
    load(here(), false);
  }
  setInterval(async () => {
    if (!document.hidden && document.body.dataset.still === undefined) return;
    try {
      const answer = await fetch(here(), { method: "HEAD" });
      if (answer.status === 401) connected(false, "Session ended");
    } catch {
      connected(false, "Not connected");
    }
  }, BACKGROUND);
}

/** The form of the list answers while somebody types. */
function filter(form) {
  let timer = null;
  const apply = () => {
    const query = new URLSearchParams();
    for (const [name, value] of new FormData(form)) if (value !== "") query.append(name, value);
    const text = query.toString();
    load(new URL(form.getAttribute("action"), location.href).pathname + (text ? `?${text}` : ""), true);
  };
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    clearTimeout(timer);
    apply();
  });
  form.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(apply, TYPING);
  });
}

/** The effect of an edited ToolsetConfig appears after a pause. */
function whatIf(form) {
  let timer = null;
  const apply = async () => {
    running?.abort();
    const request = new AbortController();
    running = request;
    const effect = element("effect");
    effect?.setAttribute("aria-busy", "true");
    try {
      const body = new URLSearchParams(new FormData(form));
      const answer = await fetch(form.getAttribute("action"), { method: "POST", body, signal: request.signal });
      if (answer.status === 401) connected(false, "Session ended");
      else if (answer.ok) take(new DOMParser().parseFromString(await answer.text(), "text/html"));
      else connected(false, "Problem");
    } catch (error) {
      if (error.name !== "AbortError") connected(false, "Not connected");
    } finally {
      if (running === request) {
        running = null;
        element("effect")?.removeAttribute("aria-busy");
      }
    }
  };
  form.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(apply, EDITING);
  });
}

/** Shows what only works with a script. */
function prepare(part) {
  for (const button of part.querySelectorAll("[data-copy], [data-copy-value]")) {
    button.hidden = false;
    button.addEventListener("click", async () => {
      const label = button.textContent;
      const { copy, copyValue } = button.dataset;
      try {
        await navigator.clipboard.writeText(copy ? element(copy).textContent : element(copyValue).value);
        button.textContent = "Copied";
      } catch {
        if (copy) getSelection().selectAllChildren(element(copy));
        else element(copyValue).select();
        button.textContent = "Selected";
      }
      setTimeout(() => { button.textContent = label; }, 2000);
    });
  }
}

for (const part of document.querySelectorAll("[data-live]")) sources.set(part, part.innerHTML);
for (const one of document.querySelectorAll("[data-without-script]")) one.hidden = true;
for (const form of document.querySelectorAll("[data-submit-on-change]")) {
  form.addEventListener("change", () => form.requestSubmit());
}
for (const form of document.querySelectorAll("[data-filter]")) filter(form);
for (const form of document.querySelectorAll("[data-what-if]")) whatIf(form);
prepare(document);
follow();
