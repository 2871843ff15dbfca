// How fast the list answers with 10,000 Services. Needs KUBECTL_TOOLSET, which should be an optimised build.

import { writeFile } from "node:fs/promises";
import { join } from "node:path";

import { folder, grafana } from "./support/files.mjs";
import { start } from "./support/program.mjs";

const ADDRESSES = ["/services", "/services?q=grafana-09", "/services?namespace=team-7&sort=-type", "/services?q=nothing", "/services?show=all&page=40"];
const REQUESTS = 30;

const file = join(await folder(), "many.yaml");
const one = (number) => grafana(`team-${number % 50}`, `grafana-${String(number).padStart(5, "0")}`);
await writeFile(file, Array.from({ length: 10_000 }, (_, number) => one(number)).join(""));
const ui = await start(["-f", file, "--no-browser"]);
try {
  const opened = await fetch(ui.url, { redirect: "manual" });
  const headers = { cookie: opened.headers.get("set-cookie").split(";")[0] };
  const ask = async (address) => {
    const begin = performance.now();
    const answer = await fetch(ui.origin + address, { headers });
    await answer.text();
    if (answer.status !== 200) throw new Error(`${address}: ${answer.status}`);
    return performance.now() - begin;
  };
  console.log(`the first page, with the plan: ${(await ask("/services")).toFixed(0)} ms`);
  for (const address of ADDRESSES) {
    const times = [];
    for (let number = 0; number < REQUESTS; number += 1) times.push(await ask(address));
    times.sort((a, b) => a - b);
    const at = (share) => times[Math.floor((times.length - 1) * share)].toFixed(1);
    console.log(`${address}: median ${at(0.5)} ms, 95th percentile ${at(0.95)} ms, longest ${at(1)} ms`);
  }
} finally {
  await ui.stop();
}
