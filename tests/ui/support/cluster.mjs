// The control plane of the test run, and the operator on it.

import { execFile, spawn } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";

import { folder } from "./files.mjs";

/** The kubeconfig of the control plane. `cargo xtask test ui` starts one. */
export const KUBECONFIG = process.env.TOOLSET_TEST_KUBECONFIG;

/** Runs kubectl. `input` is its standard input. */
export async function kubectl(args, input) {
  return new Promise((resolve, reject) => {
    const child = execFile("kubectl", ["--kubeconfig", KUBECONFIG, ...args], (error, stdout, stderr) => {
      if (error) reject(new Error(`kubectl ${args.join(" ")}: ${stderr}`));
      else resolve(stdout);
    });
    child.stdin.end(input ?? "");
  });
}

/** Applies objects. */
export async function apply(text) {
  return kubectl(["apply", "--server-side", "-f", "-"], text);
}

/** Creates namespaces. */
export async function namespaces(names) {
  const object = (name) => `---\napiVersion: v1\nkind: Namespace\nmetadata: {name: ${name}}\n`;
  await apply(names.map(object).join(""));
}

/** Starts the operator. */
export function operator() {
  const args = ["--health-addr=127.0.0.1:0", "--metrics-addr=127.0.0.1:0", "--lease-namespace=default", "--log-level=warn"];
  const child = spawn(process.env.TOOLSET_CONTROLLER, args, { env: { ...process.env, KUBECONFIG }, stdio: "inherit" });
  const ended = new Promise((resolve) => child.once("exit", resolve));
  return {
    async stop() {
      child.kill("SIGTERM");
      return ended;
    },
  };
}

/** A kubeconfig of somebody who may only read Services, EndpointSlices and Pods of one namespace. */
export async function reader(namespace) {
  await apply(`apiVersion: v1
kind: ServiceAccount
metadata: {name: reader, namespace: ${namespace}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: reader, namespace: ${namespace}}
rules:
- {apiGroups: [""], resources: [services, pods], verbs: [get, list, watch]}
- {apiGroups: [discovery.k8s.io], resources: [endpointslices], verbs: [get, list, watch]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: reader, namespace: ${namespace}}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: reader}
subjects: [{kind: ServiceAccount, name: reader, namespace: ${namespace}}]
`);
  const token = await kubectl(["create", "token", "reader", "-n", namespace]);
  const config = JSON.parse(await kubectl(["config", "view", "--raw", "--minify", "-o", "json"]));
  config.users = [{ name: "reader", user: { token: token.trim() } }];
  for (const { context } of config.contexts) Object.assign(context, { user: "reader", namespace });
  const path = join(await folder(), "kubeconfig");
  await writeFile(path, JSON.stringify(config), { mode: 0o600 });
  return path;
}
