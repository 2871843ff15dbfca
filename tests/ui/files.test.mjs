// The page for files, in a real browser.

import assert from "node:assert/strict";
import { chmod, copyFile, readFile, stat, writeFile, appendFile } from "node:fs/promises";
import { createServer } from "node:http";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";

import { violations } from "./support/axe.mjs";
import { downloaded, enter, isLive, isMarked, launch, mark, open, posted } from "./support/browser.mjs";
import { STACK, folder, grafana, toolsetConfig } from "./support/files.mjs";
import { run, start } from "./support/program.mjs";

/** Every view: its address, and a text that it has. */
const VIEWS = [
  ["/", "tools from 30 Services"],
  ["/services", "21 Services"],
  ["/services?show=all&sort=-type", "30 Services"],
  ["/services/logging/loki-read", "LostToPreferred"],
  ["/services/monitoring/kps-kube-prometheus-stack-prometheus", "Tool for the agent"],
  ["/output", "custom_toolset.yaml"],
  ["/what-if", "Nothing is applied."],
];

let browser;
let ui;
/** The cookies of the session, which other windows share. */
let cookies;

before(async () => {
  browser = await launch();
  ui = await start(["-f", STACK, "--no-browser"]);
  const { context, page } = await open(browser);
  await enter(page, ui);
  cookies = await context.cookies();
  await context.close();
});

after(async () => {
  await browser?.close();
  const ended = await ui?.stop();
  if (ended) assert.deepEqual(ended, { code: 0, signal: null }, "Ctrl-C ends the program without an error");
});

/** A window in the session. It is closed after `use`, and must have had no error and no request to elsewhere. */
async function window(options, use) {
  const opened = await open(browser, options);
  await opened.context.addCookies(cookies);
  try {
    await use(opened.page, opened);
    assert.deepEqual(opened.errors, [], "the console has no errors");
    const elsewhere = opened.requests.filter((url) => !url.startsWith(`${new URL(ui.origin).origin}/`) && !url.startsWith("blob:"));
    assert.deepEqual(elsewhere, [], "no request leaves the page's own origin");
  } finally {
    await opened.context.close();
  }
}

describe("access", () => {
  test("the one-time address leads to an address without the token, and works once", async () => {
    const own = await start(["-f", STACK, "--no-browser"]);
    const { context, page } = await open(browser);
    try {
      await enter(page, own);
      assert.equal(page.url(), `${own.origin}/`);
      const [cookie] = await context.cookies();
      assert.equal(cookie.httpOnly, true);
      assert.equal(cookie.sameSite, "Strict");
      assert.equal(cookie.name, `toolset-ui-${new URL(own.origin).port}`);
      assert.equal(await page.evaluate(() => document.cookie), "");

      const second = await open(browser);
      const answer = await second.page.goto(own.url);
      assert.equal(answer.status(), 401);
      await second.page.getByRole("heading", { name: "This page is locked" }).waitFor();
      await second.context.close();
    } finally {
      await context.close();
      await own.stop();
    }
  });

  test("the browser is sent there by a file that only the user can read and that goes after its use", async () => {
    const place = await folder();
    const opener = join(place, "xdg-open");
    const opened = join(place, "opened");
    await writeFile(opener, `#!/bin/sh\nprintf %s "$1" > ${opened}.part && mv ${opened}.part ${opened}\n`);
    await chmod(opener, 0o700);
    const own = await start(["-f", STACK], { env: { PATH: `${place}:/usr/bin:/bin`, XDG_RUNTIME_DIR: place } });
    const { context, page } = await open(browser);
    try {
      assert.equal(own.url, `${own.origin}/`, "the printed address has no token");
      const file = await eventually(() => readFile(opened, "utf8"));
      assert.equal((await stat(file)).mode & 0o777, 0o600);
      await page.goto(`file://${file}`);
      await page.waitForURL(`${own.origin}/`);
      await isLive(page);
      await assert.rejects(stat(file), "the file is gone");
    } finally {
      await context.close();
      await own.stop();
    }
  });

  test("another name of this computer is refused, as after DNS rebinding", async () => {
    const { context, page } = await open(browser);
    await context.addCookies(cookies.map((cookie) => ({ ...cookie, domain: "rebound.localhost" })));
    const answer = await page.goto(`http://rebound.localhost:${new URL(ui.origin).port}/services`);
    assert.equal(answer.status(), 403);
    assert.ok(!(await page.content()).includes("monitoring"));
    await context.close();
  });

  test("a form of another site is refused", async () => {
    const html = `<form method="post" action="${ui.origin}/what-if"><input name="text" value="x"><button>Go</button></form>`;
    const site = createServer((_, response) => response.setHeader("content-type", "text/html").end(html));
    await new Promise((resolve) => site.listen(0, "127.0.0.1", resolve));
    const { context, page } = await open(browser);
    try {
      await context.addCookies(cookies);
      await page.goto(`http://127.0.0.1:${site.address().port}/`);
      const answer = page.waitForResponse((response) => response.url() === `${ui.origin}/what-if`);
      await page.getByRole("button").click();
      assert.equal((await answer).status(), 403);
    } finally {
      await context.close();
      site.close();
    }
  });
});

describe("pages", () => {
  for (const scheme of ["light", "dark"]) {
    test(`each view has its content and no accessibility problem (${scheme})`, async () => {
      await window({ colorScheme: scheme }, async (page) => {
        for (const [address, text] of VIEWS) {
          await page.goto(ui.origin + address);
          await page.getByText(text).first().waitFor();
          if (address !== "/what-if") await isLive(page);
          assert.deepEqual(await violations(page), [], address);
        }
      });
    });
  }

  test("no view is wider than a phone or than a window at 200 %", async () => {
    for (const width of [360, 640]) {
      await window({ viewport: { width, height: 800 } }, async (page) => {
        for (const [address] of VIEWS) {
          await page.goto(ui.origin + address);
          const { scrollWidth, clientWidth } = await page.evaluate(() => {
            const { scrollWidth, clientWidth } = document.documentElement;
            return { scrollWidth, clientWidth };
          });
          assert.ok(scrollWidth <= clientWidth, `${address} is ${scrollWidth} wide in ${clientWidth}`);
        }
      });
    }
  });

  test("the keyboard reaches the content, a filter and a Service", async () => {
    await window({}, async (page) => {
      await page.goto(`${ui.origin}/services`);
      await isLive(page);
      await page.keyboard.press("Tab");
      assert.equal(await focused(page), "Skip to the content");
      await page.keyboard.press("Enter");
      await page.keyboard.press("Tab");
      assert.equal(await page.evaluate(() => document.activeElement.id), "q");
      await page.keyboard.type("loki-gateway.logging");
      await page.getByText("1 Service", { exact: true }).waitFor();
      for (let steps = 0; steps < 30 && !(await focused(page)).includes("loki-gateway"); steps += 1) {
        await page.keyboard.press("Tab");
      }
      await page.keyboard.press("Enter");
      await page.waitForURL("**/services/logging/loki-gateway");
      await page.getByRole("heading", { level: 1, name: "loki-gateway" }).waitFor();
    });
  });

  test("text of the cluster is never markup, and nothing in it is invisible", async () => {
    const place = await folder();
    const file = join(place, "hostile.yaml");
    const value = '<img src=x onerror=alert(1)>\\u202e\\e[31m';
    const labels = `labels: {note: "${value}", `;
    await writeFile(file, grafana("a", "grafana").replace("labels: {", labels));
    const own = await start(["-f", file, "--no-browser"]);
    const { context, page, errors } = await open(browser);
    page.on("dialog", () => assert.fail("a script of the cluster ran"));
    try {
      await enter(page, own);
      for (const address of ["/services/a/grafana", `/services?q=${encodeURIComponent("<img src=x onerror=alert(1)>\u202e")}`]) {
        await page.goto(own.origin + address);
        await isLive(page);
        assert.ok((await page.content()).includes("\\u{202e}"), "bidirectional controls are written out");
        assert.equal(await page.locator("img[src=x]").count(), 0);
        assert.ok(!(await page.content()).includes("\u202e"));
      }
      assert.deepEqual(errors, []);
    } finally {
      await context.close();
      await own.stop();
    }
  });
});

describe("the list", () => {
  test("a search answers without a reload, and its address can be sent", async () => {
    await window({}, async (page) => {
      await page.goto(`${ui.origin}/services`);
      await isLive(page);
      await mark(page);
      await page.getByRole("searchbox").fill("PROMETHEUS-OPERATED");
      await page.getByText("1 Service", { exact: true }).waitFor();
      assert.ok(await isMarked(page));
      assert.equal(page.url(), `${ui.origin}/services?q=PROMETHEUS-OPERATED`);
      await page.reload();
      await page.getByText("1 Service", { exact: true }).waitFor();
      assert.equal(await page.getByRole("searchbox").inputValue(), "PROMETHEUS-OPERATED");
    });
  });

  test("filters combine, and the command line finds the same Services", async () => {
    await window({}, async (page) => {
      await page.goto(`${ui.origin}/services`);
      await isLive(page);
      await page.getByLabel("Show").selectOption("rejected");
      await page.getByLabel("Namespace").selectOption("monitoring");
      await page.getByLabel("Reason").selectOption("HeadlessTwin");
      await page.getByText("2 Services", { exact: true }).waitFor();
      const names = await page.locator("td[data-label=Service]").allInnerTexts();
      const command = await page.locator("#command").innerText();
      const expected = "'.rejected[] | select(.namespace == \"monitoring\" and .reason == \"HeadlessTwin\")'";
      assert.ok(command.endsWith(`-o json | jq ${expected}`), command);
      const rendered = JSON.parse((await run(["render", "-f", STACK, "-o", "json"])).stdout);
      const same = rendered.rejected.filter((one) => one.namespace === "monitoring" && one.reason === "HeadlessTwin");
      assert.deepEqual(names, same.map((one) => `${one.namespace}/${one.service}`));
    });
  });

  test("columns sort in both directions", async () => {
    await window({}, async (page) => {
      await page.goto(`${ui.origin}/services?show=tools`);
      const types = () => page.locator("td[data-label=Type]").allInnerTexts();
      await page.getByRole("columnheader", { name: "Type" }).getByRole("link").click();
      await page.locator('th[aria-sort="ascending"]', { hasText: "Type" }).waitFor();
      const up = await types();
      await page.getByRole("columnheader", { name: "Type" }).getByRole("link").click();
      await page.locator('th[aria-sort="descending"]', { hasText: "Type" }).waitFor();
      assert.deepEqual(await types(), up.toReversed());
      assert.equal(up.length, 9);
    });
  });

  test("without a script, the form does the same with a reload", async () => {
    await window({ javaScriptEnabled: false }, async (page) => {
      await page.goto(`${ui.origin}/services`);
      await page.getByRole("searchbox").fill("loki-read");
      await page.getByRole("button", { name: "Filter" }).click();
      await page.getByText("1 Service", { exact: true }).waitFor();
    });
  });

  test("10,000 Services are paged by 200", async () => {
    const place = await folder();
    const file = join(place, "many.yaml");
    const service = (number) => grafana(`team-${number % 50}`, `grafana-${String(number).padStart(5, "0")}`);
    await writeFile(file, Array.from({ length: 10_000 }, (_, number) => service(number)).join(""));
    const own = await start(["-f", file, "--no-browser"]);
    const { context, page } = await open(browser);
    try {
      context.setDefaultTimeout(60_000);
      await enter(page, own);
      await page.goto(`${own.origin}/services?show=all`);
      await page.getByText("1 to 200 of 10000 Services").waitFor();
      await page.getByRole("link", { name: "Next" }).click();
      await page.getByText("201 to 400 of 10000 Services").waitFor();
      await page.getByRole("searchbox").fill("grafana-09999");
      await page.getByText("1 Service", { exact: true }).waitFor();
    } finally {
      await context.close();
      await own.stop();
    }
  });
});

describe("changes", () => {
  test("a changed file changes the page without a reload, and a broken one is named", async () => {
    const place = await folder();
    const file = join(place, "stack.yaml");
    await copyFile(STACK, file);
    const own = await start(["-f", file, "--no-browser"]);
    const { context, page } = await open(browser);
    try {
      await enter(page, own);
      await mark(page);
      await appendFile(file, grafana("monitoring", "new-grafana"));
      await page.getByText("monitoring/new-grafana").waitFor();
      await appendFile(file, "---\nkind: [\n");
      await page.getByRole("alert").getByText("The files cannot be read").waitFor();
      await page.getByText("monitoring/new-grafana").waitFor();
      await copyFile(STACK, file);
      await page.getByRole("alert").waitFor({ state: "detached" });
      await page.getByText("monitoring/new-grafana").waitFor({ state: "detached" });
      assert.ok(await isMarked(page));
    } finally {
      await context.close();
      await own.stop();
    }
  });

  test("the end of the program is shown", async () => {
    const own = await start(["-f", STACK, "--no-browser"]);
    const { context, page } = await open(browser);
    await enter(page, own);
    await own.stop();
    await page.getByText("Not connected").waitFor();
    await context.close();
  });
});

describe("what if", () => {
  const edited = toolsetConfig(["monitoring"], "  detectors:\n  - {type: Thanos, state: Disabled}\n");

  test("an edit shows its effect without a reload, and the ConfigMap is that of render byte for byte", async () => {
    const place = await folder();
    const file = join(place, "edited.yaml");
    await writeFile(file, edited);
    await window({}, async (page) => {
      await page.goto(`${ui.origin}/what-if`);
      await mark(page);
      await page.getByLabel("ToolsetConfig").fill(edited);
      const goes = page.locator("li.goes", { hasText: "thanos-query" });
      await goes.getByText("DetectorDisabled", { exact: true }).waitFor();
      await page.locator("li.goes", { hasText: "loki-gateway" }).waitFor();
      assert.ok(await isMarked(page));
      assert.deepEqual(await violations(page), []);

      const bytes = await posted(page, "form.edit", "what-if/configmap.yaml");
      const rendered = await run(["render", "-f", STACK, "-f", file, "-o", "configmap"]);
      assert.equal(bytes, rendered.stdout);
      assert.equal(await posted(page, "form.edit", "what-if/toolsetconfig.yaml"), edited);
      assert.equal(await downloaded(page, "Download the ConfigMap"), "configmap.yaml");
      assert.equal(await downloaded(page, "Download the ToolsetConfig"), "toolsetconfig.yaml");
    });
  });

  test("the text to start with changes nothing", async () => {
    await window({}, async (page) => {
      await page.goto(`${ui.origin}/what-if`);
      const text = page.getByLabel("ToolsetConfig");
      await text.fill(`${await text.inputValue()}\n`);
      await page.getByText("The tools do not change.").waitFor();
    });
  });

  test("a mistake is named as validate names it", async () => {
    const wrong = edited.replace("Trusted", "Trustd");
    const place = await folder();
    const file = join(place, "wrong.yaml");
    await writeFile(file, wrong);
    const { stderr } = await run(["validate", "-f", file]);
    await window({}, async (page) => {
      await page.goto(`${ui.origin}/what-if`);
      await page.getByLabel("ToolsetConfig").fill(wrong);
      await page.getByText("Not valid").waitFor();
      const problem = await page.locator("#effect .problems li").first().innerText();
      assert.ok(stderr.includes(problem), `${problem} is not in ${stderr}`);
    });
  });

  test("it works without a script", async () => {
    await window({ javaScriptEnabled: false }, async (page) => {
      await page.goto(`${ui.origin}/what-if`);
      await page.getByLabel("ToolsetConfig").fill(edited);
      await page.getByRole("button", { name: "Show the effect" }).click();
      await page.locator("li.goes", { hasText: "thanos-query" }).waitFor();
      assert.equal((await page.getByLabel("ToolsetConfig").inputValue()).trim(), edited.trim());
    });
  });
});

/** The text of the element with the focus. */
function focused(page) {
  return page.evaluate(() => document.activeElement.textContent.trim());
}

/** Tries until it succeeds. */
async function eventually(probe) {
  const end = Date.now() + 15_000;
  for (;;) {
    try {
      return await probe();
    } catch (error) {
      if (Date.now() > end) throw error;
      await new Promise((resolve) => setImmediate(resolve));
    }
  }
}
