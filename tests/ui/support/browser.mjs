// The browser, and what a test must know of each page in it.

import { chromium } from "playwright-core";

const FLAGS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

/** How long an expectation may take. */
export const DEADLINE = 15_000;

/** Starts the browser. */
export async function launch() {
  const executablePath = process.env.CHROMIUM ?? "/usr/bin/chromium";
  return chromium.launch({ executablePath, args: FLAGS });
}

/** A new window without cookies. Remembers every request, and every message of the console that is an error. */
export async function open(browser, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options });
  context.setDefaultTimeout(DEADLINE);
  const page = await context.newPage();
  const requests = [];
  const errors = [];
  page.on("request", (request) => requests.push(request.url()));
  page.on("console", (message) => {
    if (message.type() === "error" || message.type() === "warning") errors.push(message.text());
  });
  page.on("pageerror", (error) => errors.push(String(error)));
  return { context, page, requests, errors };
}

/** Opens the one-time address and waits for the first page. */
export async function enter(page, ui) {
  await page.goto(ui.url);
  await page.waitForURL(`${ui.origin}/`);
  await isLive(page);
}

/** Waits until the script of the page follows the changes. */
export async function isLive(page) {
  await page.locator("[data-link]").getByText("Live", { exact: true }).waitFor();
}

/** Marks the window, to see later that it was not loaded again. */
export async function mark(page) {
  await page.evaluate(() => { window.mark = true; });
}

/** Whether the window is the one that was marked. */
export async function isMarked(page) {
  return page.evaluate(() => window.mark === true);
}

/** What the form of a page gets from an address. A browser on a busy machine sometimes cancels a download of a test. */
export async function posted(page, selector, address) {
  return page.evaluate(async ([selector, address]) => {
    const body = new URLSearchParams(new FormData(document.querySelector(selector)));
    const answer = await fetch(address, { method: "POST", body });
    return answer.text();
  }, [selector, address]);
}

/** The name of the file that a button downloads. */
export async function downloaded(page, button) {
  const download = page.waitForEvent("download");
  await page.getByRole("button", { name: button }).click();
  return (await download).suggestedFilename();
}
