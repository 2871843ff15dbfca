// Starts `kubectl toolset ui` and reads its address.

import { spawn } from "node:child_process";
import { createInterface } from "node:readline";

/** How long to wait for the address. */
const DEADLINE = 30_000;

const program = process.env.KUBECTL_TOOLSET;

/** Starts the page. `options.env` adds to the environment. */
export async function start(args, options = {}) {
  if (!program) throw new Error("KUBECTL_TOOLSET must name the program; `cargo xtask test ui` sets it");
  const env = { ...process.env, KUBECONFIG: "/nonexistent", HOME: "/nonexistent", ...options.env };
  const child = spawn(program, ["ui", ...args], { env, cwd: options.cwd, stdio: ["ignore", "pipe", "pipe"] });
  const lines = [];
  const errors = [];
  const ended = new Promise((resolve) => child.once("exit", (code, signal) => resolve({ code, signal })));
  createInterface({ input: child.stderr }).on("line", (line) => errors.push(line));
  const output = createInterface({ input: child.stdout });
  const url = await new Promise((resolve, reject) => {
    const late = setTimeout(() => reject(new Error(`no address after ${DEADLINE} ms`)), DEADLINE);
    output.on("line", (line) => {
      lines.push(line);
      const found = /http:\/\/127\.0\.0\.1:\d+\/\S*/.exec(line);
      if (found) {
        clearTimeout(late);
        resolve(found[0]);
      }
    });
    ended.then(({ code }) => reject(new Error(`the program ended with ${code}: ${errors.join("\n")}`)));
  });
  ended.catch(() => {});
  return {
    /** The address that the program printed. */
    url,
    /** The address of the first page, without the slash at its end. All pages are below it. */
    origin: url.slice(0, url.lastIndexOf("/")),
    lines,
    errors,
    /** Ends the program as Ctrl-C does. */
    async stop() {
      child.kill("SIGINT");
      return ended;
    },
  };
}

/** Runs a command of the program and returns what it prints. */
export async function run(args, options = {}) {
  const env = { ...process.env, KUBECONFIG: "/nonexistent", HOME: "/nonexistent", ...options.env };
  const child = spawn(program, args, { env, stdio: ["ignore", "pipe", "pipe"] });
  const parts = [];
  const errors = [];
  child.stdout.on("data", (part) => parts.push(part));
  child.stderr.on("data", (part) => errors.push(part));
  const code = await new Promise((resolve) => child.once("close", resolve));
  return { code, stdout: Buffer.concat(parts).toString("utf8"), stderr: Buffer.concat(errors).toString("utf8") };
}
