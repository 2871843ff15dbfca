// Files of the repository and of a test.

import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../../../", import.meta.url));

/** The Services of the demo. */
export const STACK = join(root, "examples/stack.yaml");
/** Where screenshots go. */
export const SCREENSHOTS = process.env.TOOLSET_UI_SCREENSHOTS ?? join(root, "target/ui-screenshots");
/** The picture of the documentation. */
export const PICTURE = join(root, "docs/images/ui-overview.png");

/** An empty folder. */
export async function folder() {
  return mkdtemp(join(tmpdir(), "toolset-ui-"));
}

/** A Service of Grafana. */
export function grafana(namespace, name) {
  return `---
apiVersion: v1
kind: Service
metadata:
  name: ${name}
  namespace: ${namespace}
  labels: {app.kubernetes.io/name: grafana}
spec:
  selector: {app.kubernetes.io/name: grafana, app.kubernetes.io/instance: ${name}}
  ports: [{name: service, port: 80, targetPort: 3000}]
`;
}

/** A ToolsetConfig with one Trusted source for these namespaces. */
export function toolsetConfig(namespaces, more = "") {
  return `apiVersion: toolset.kubernaut.io/v1alpha1
kind: ToolsetConfig
metadata: {name: default, namespace: holmes}
spec:
  sources:
  - {name: platform, trust: Trusted, namespaces: {from: Names, names: [${namespaces.join(", ")}]}}
${more}`;
}
