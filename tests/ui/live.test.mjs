// The page for a cluster, in a real browser, with the operator on a real control plane.

import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "node:test";

import { violations } from "./support/axe.mjs";
import { enter, isLive, isMarked, launch, mark, open, posted } from "./support/browser.mjs";
import { KUBECONFIG, apply, kubectl, namespaces, operator, reader } from "./support/cluster.mjs";
import { STACK, folder, grafana, toolsetConfig } from "./support/files.mjs";
import { run, start } from "./support/program.mjs";

const skip = KUBECONFIG ? false : "no control plane: `cargo xtask test ui` starts one";
const env = { KUBECONFIG };
/** Without a kubelet no endpoint is ever ready. */
const NO_HEALTH = "  health: {mode: None}\n";

let browser;
let running;
let ui;
let page;
let window;

before(async () => {
  if (skip) return;
  const stack = await readFile(STACK, "utf8");
  const names = new Set([...stack.matchAll(/namespace: ([a-z-]+)/g)].map(([, name]) => name));
  await namespaces([...names, "holmes", "empty"].filter((name) => name !== "kube-system"));
  await apply(stack);
  await apply(toolsetConfig(["monitoring", "logging", "tracing", "elastic"], NO_HEALTH));
  running = operator();
  browser = await launch();
  ui = await start(["--no-browser"], { env });
  window = await open(browser);
  page = window.page;
  await enter(page, ui);
}, { timeout: 120_000 });

after(async () => {
  await browser?.close();
  await ui?.stop();
  await running?.stop();
});

test("the overview shows the status that the operator wrote", { skip }, async () => {
  await page.goto(`${ui.origin}/`);
  await page.getByText("Ready: True").waitFor();
  await page.getByText("AsExpected").first().waitFor();
  await page.getByText("8 tools from 31 Services").waitFor();
  assert.deepEqual(await violations(page), []);
});

test("the output is what the operator wrote", { skip }, async () => {
  await page.goto(`${ui.origin}/output`);
  await page.getByText("The ConfigMap is up to date.").waitFor();
  assert.equal(await page.getByText("Up to date", { exact: true }).count(), 2);
});

test("a new Service and its deletion appear without a reload", { skip }, async () => {
  await page.goto(`${ui.origin}/`);
  await isLive(page);
  await mark(page);
  await apply(grafana("monitoring", "new-grafana"));
  await page.getByText("monitoring/new-grafana").waitFor();
  await page.getByText("9 tools from 32 Services").waitFor();
  await kubectl(["delete", "service", "new-grafana", "-n", "monitoring"]);
  await page.getByText("8 tools from 31 Services").waitFor();
  assert.ok(await isMarked(page));
});

test("the explanation of a Service agrees with the status", { skip }, async () => {
  await page.goto(`${ui.origin}/services/monitoring/thanos-query`);
  await page.getByRole("heading", { name: "Status of the ToolsetConfig" }).waitFor();
  const status = page.locator("section", { has: page.locator("#status") });
  await status.getByText("Yes", { exact: true }).waitFor();
  assert.deepEqual(await violations(page), []);
});

test("what would be written differs from what is there while the mode is Preview", { skip }, async () => {
  await page.goto(`${ui.origin}/output`);
  await isLive(page);
  await mark(page);
  await apply(toolsetConfig(["monitoring"], `${NO_HEALTH}  mode: Preview\n`));
  await page.getByText("The ConfigMap differs from what would be written now.").waitFor();
  await page.locator("tr.removed", { hasText: "loki-gateway" }).first().waitFor();
  await apply(toolsetConfig(["monitoring", "logging", "tracing", "elastic"], NO_HEALTH));
  await page.getByText("The ConfigMap is up to date.").waitFor();
  assert.ok(await isMarked(page));
});

test("the ConfigMap of an edit is that of render byte for byte", { skip }, async () => {
  const edited = toolsetConfig(["monitoring", "search"], `${NO_HEALTH}  output: {configMapName: another}\n`);
  const file = join(await folder(), "edited.yaml");
  await writeFile(file, edited);
  await page.goto(`${ui.origin}/what-if`);
  await page.getByLabel("ToolsetConfig").fill(edited);
  await page.locator("li.comes", { hasText: "search/vectors" }).waitFor();
  const bytes = await posted(page, "form.edit", "what-if/configmap.yaml");
  const rendered = await run(["render", "--live", "-f", file, "-o", "configmap"], { env });
  assert.equal(bytes, rendered.stdout);
});

test("with several ToolsetConfigs, one is chosen and the addresses keep it", { skip }, async () => {
  await page.goto(`${ui.origin}/`);
  await apply(toolsetConfig(["search"], NO_HEALTH).replace("name: default, namespace: holmes", "name: second, namespace: search"));
  await page.getByRole("link", { name: "search/second" }).waitFor();
  await page.getByRole("link", { name: "search/second" }).click();
  await page.getByText("1 tool from 31 Services").waitFor();
  await page.getByRole("navigation", { name: "Pages" }).getByRole("link", { name: "Services" }).click();
  await page.waitForURL("**/services?config=search%2Fsecond");
  await page.getByLabel("ToolsetConfig").selectOption("holmes/default");
  await page.waitForURL("**/services?config=holmes%2Fdefault");
  await kubectl(["delete", "toolsetconfig", "second", "-n", "search"]);
  assert.deepEqual(window.errors, []);
});

test("with permissions in one namespace, the page shows it and says what it cannot see", { skip }, async () => {
  const own = await start(["--no-browser"], { env: { KUBECONFIG: await reader("monitoring") } });
  const { context, page } = await open(browser);
  try {
    await enter(page, own);
    await page.getByText("You are not allowed to list EndpointSlices and Services in all namespaces").waitFor();
    await page.goto(`${own.origin}/services`);
    await page.getByText("monitoring/kps-kube-prometheus-stack-prometheus").first().waitFor();
    assert.equal(await page.getByText("logging/loki-gateway").count(), 0);
    assert.deepEqual(await violations(page), []);
  } finally {
    await context.close();
    await own.stop();
  }
});

test("a cluster that does not answer is named, and the page stays", { skip }, async () => {
  const config = JSON.parse(await kubectl(["config", "view", "--raw", "--minify", "-o", "json"]));
  for (const { cluster } of config.clusters) cluster.server = "https://127.0.0.1:1";
  const path = join(await folder(), "kubeconfig");
  await writeFile(path, JSON.stringify(config), { mode: 0o600 });
  const own = await start(["--no-browser"], { env: { KUBECONFIG: path } });
  const { context, page } = await open(browser);
  try {
    await enter(page, own);
    await page.getByRole("alert").getByText("Services cannot be read").waitFor();
  } finally {
    await context.close();
    await own.stop();
  }
});
