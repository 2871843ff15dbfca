// Pictures of each view, light and dark, wide and on a phone. CI keeps them.

import { mkdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { writeFile } from "node:fs/promises";

import { enter, isLive, launch, open } from "./support/browser.mjs";
import { PICTURE, SCREENSHOTS, STACK, folder, toolsetConfig } from "./support/files.mjs";
import { start } from "./support/program.mjs";

const VIEWS = [
  ["overview", "/"],
  ["services", "/services"],
  ["service", "/services/logging/loki-read"],
  ["tool", "/services/monitoring/thanos-query"],
  ["output", "/output"],
  ["what-if", "/what-if"],
];
const SIZES = { wide: { width: 1280, height: 900 }, phone: { width: 390, height: 844 } };
const EDITED = toolsetConfig(["monitoring", "search"], "  detectors:\n  - {type: Thanos, state: Disabled}\n");

test("every view has a picture", { timeout: 120_000 }, async () => {
  await mkdir(SCREENSHOTS, { recursive: true });
  const config = join(await folder(), "toolsetconfig.yaml");
  await writeFile(config, toolsetConfig(["monitoring", "logging", "tracing", "elastic"]));
  const ui = await start(["-f", STACK, "-f", config, "--no-browser"]);
  const browser = await launch();
  try {
    let cookies;
    for (const colorScheme of ["light", "dark"]) {
      for (const [size, viewport] of Object.entries(SIZES)) {
        const { context, page } = await open(browser, { colorScheme, viewport });
        if (cookies) await context.addCookies(cookies);
        else await enter(page, ui);
        cookies = await context.cookies();
        for (const [name, address] of VIEWS) {
          await page.goto(ui.origin + address);
          if (name === "what-if") {
            await page.getByLabel("ToolsetConfig").fill(EDITED);
            await page.getByText("Valid", { exact: true }).waitFor();
          } else {
            await isLive(page);
          }
          await page.screenshot({ path: join(SCREENSHOTS, `${name}-${size}-${colorScheme}.png`), fullPage: size === "phone" });
        }
        await context.close();
      }
    }
    if (process.env.TOOLSET_UI_PICTURE) await picture(browser);
  } finally {
    await browser.close();
    await ui.stop();
  }
});

/** The picture of the documentation: the overview without a ToolsetConfig. */
async function picture(browser) {
  await mkdir(dirname(PICTURE), { recursive: true });
  const ui = await start(["-f", "examples/stack.yaml", "--no-browser"], { cwd: join(dirname(STACK), "..") });
  const { page } = await open(browser, { viewport: { width: 1280, height: 800 } });
  await enter(page, ui);
  await page.screenshot({ path: PICTURE });
  await ui.stop();
}
