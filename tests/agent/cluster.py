"""Creates Kubernetes objects, and renders them with the operator."""

import json
import subprocess

DOMAIN = "cluster.local"
NAMESPACE = "holmes"

# The start of the name of the entry by which a change arrives in the agent. The rest of the name is a hash of the file.
REVISION = "discovered-revision-"

# One Service for every type that a detector recognises, with the labels of the product's chart.
# Type: (name, port, port name, labels).
PRODUCTS = {
    "Prometheus": (
        "prometheus-server",
        80,
        "http",
        {"app.kubernetes.io/name": "prometheus", "app.kubernetes.io/component": "server"},
    ),
    "Thanos": (
        "thanos-query",
        9090,
        "http",
        {"app.kubernetes.io/name": "thanos", "app.kubernetes.io/component": "query"},
    ),
    "Mimir": (
        "mimir-gateway",
        80,
        "http-metrics",
        {"app.kubernetes.io/name": "mimir", "app.kubernetes.io/component": "gateway"},
    ),
    "VictoriaMetrics": (
        "vmsingle-main",
        8428,
        "http",
        {"app.kubernetes.io/name": "vmsingle", "managed-by": "vm-operator"},
    ),
    "Alertmanager": ("alertmanager", 9093, "http", {"app.kubernetes.io/name": "alertmanager"}),
    "Grafana": ("grafana", 80, "service", {"app.kubernetes.io/name": "grafana"}),
    "Loki": ("loki-gateway", 80, "http", {"app.kubernetes.io/name": "loki", "app.kubernetes.io/component": "gateway"}),
    "Tempo": ("tempo", 3200, "tempo-prom-metrics", {"app.kubernetes.io/name": "tempo"}),
    "Jaeger": (
        "jaeger-query",
        16686,
        "http-query",
        {"app": "jaeger", "app.kubernetes.io/component": "service-query", "app.kubernetes.io/part-of": "jaeger"},
    ),
    "Zipkin": ("zipkin", 9411, "http-query", {"app.kubernetes.io/name": "zipkin"}),
    "Elasticsearch": (
        "elasticsearch",
        9200,
        "tcp-rest-api",
        {"app.kubernetes.io/name": "elasticsearch", "app.kubernetes.io/component": "coordinating-only"},
    ),
    "OpenSearch": (
        "opensearch",
        9200,
        "tcp-rest-api",
        {"app.kubernetes.io/name": "opensearch", "app.kubernetes.io/component": "coordinating-only"},
    ),
    "VictoriaLogs": ("vlsingle-main", 9428, "http", {"app.kubernetes.io/name": "victoria-logs-single"}),
    "VictoriaTraces": ("vtsingle-main", 10428, "http", {"app.kubernetes.io/name": "victoria-traces-single"}),
    "Kibana": ("kibana", 5601, "http", {"app": "kibana"}),
}

# The types for which the agent has toolsets.
TOOLSETS = {
    "Prometheus": ["prometheus/metrics"],
    "Thanos": ["prometheus/metrics"],
    "Mimir": ["prometheus/metrics"],
    "VictoriaMetrics": ["prometheus/metrics"],
    "Grafana": ["grafana/dashboards"],
    "Loki": ["grafana/loki"],
    "Tempo": ["grafana/tempo"],
    "Elasticsearch": ["elasticsearch/data", "elasticsearch/cluster"],
    "OpenSearch": ["elasticsearch/data", "elasticsearch/cluster"],
    "VictoriaLogs": ["victorialogs"],
}


def service(
    namespace: str,
    name: str,
    port: int,
    port_name: str = "http",
    labels: dict | None = None,
    annotations: dict | None = None,
) -> dict:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"namespace": namespace, "name": name, "labels": labels or {}, "annotations": annotations or {}},
        "spec": {
            "type": "ClusterIP",
            "clusterIP": "10.96.0.1",
            "selector": {"app.example/pod": name},
            "ports": [{"name": port_name, "port": port, "targetPort": port, "protocol": "TCP"}],
        },
    }


def product(type_: str, namespace: str = "observability") -> dict:
    """The Service of a product as its chart creates it."""
    name, port, port_name, labels = PRODUCTS[type_]
    return service(namespace, name, port, port_name, labels)


def annotated(type_: str, namespace: str, name: str, port: int = 8080, /, **more: str) -> dict:
    """A Service that opts in with annotations."""
    annotations = {"kubernaut.io/toolset": "enabled", "kubernaut.io/toolset-type": type_.lower()}
    annotations.update({f"kubernaut.io/toolset-{key.replace('_', '-')}": value for key, value in more.items()})
    return service(namespace, name, port, annotations=annotations)


def endpoints(of: dict, serving: bool) -> dict:
    """The EndpointSlice of a Service with one pod."""
    name = of["metadata"]["name"]
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "addressType": "IPv4",
        "metadata": {
            "namespace": of["metadata"]["namespace"],
            "name": f"{name}-1",
            "labels": {
                "kubernetes.io/service-name": name,
                "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io",
            },
        },
        "endpoints": [
            {"addresses": ["10.1.0.1"], "conditions": {"ready": serving, "serving": serving, "terminating": False}}
        ],
        "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}],
    }


def namespace(name: str) -> dict:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}


def toolset_config(**spec: object) -> dict:
    """A ToolsetConfig that trusts all namespaces, enables all detectors and does not check health. `spec` overrides this."""
    spec.setdefault("sources", [{"name": "all", "trust": "Trusted", "namespaces": {"from": "All"}}])
    spec.setdefault("detectors", [{"type": "MCP", "state": "Enabled"}])
    spec.setdefault("health", {"mode": "None"})
    return {
        "apiVersion": "toolset.kubernaut.io/v1alpha1",
        "kind": "ToolsetConfig",
        "metadata": {"namespace": NAMESPACE, "name": "default"},
        "spec": spec,
    }


def config_map(name: str, **data: str) -> dict:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"namespace": NAMESPACE, "name": name},
        "data": {key.replace("__", "."): value for key, value in data.items()},
    }


class Operator:
    """Runs the code of the operator offline with `kubectl-toolset render`."""

    def __init__(self, program: str) -> None:
        self.program = program

    def file(self, objects: list) -> tuple[str, str]:
        """The file for the agent, and the notes of the operator."""
        return self._render(objects, "holmesgpt")

    def config_map(self, objects: list) -> str:
        """The whole ConfigMap."""
        return self._render(objects, "configmap")[0]

    def tools(self, objects: list) -> list:
        return json.loads(self._render(objects, "json")[0])["tools"]

    def _render(self, objects: list, format_: str) -> tuple[str, str]:
        command = [self.program, "render", "-f", "-", "-o", format_, "--cluster-domain", DOMAIN]
        source = json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})
        done = subprocess.run(command, input=source, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"kubectl-toolset failed: {done.stderr}")
        return done.stdout, done.stderr
