//! Whether the name of an image that no table knows is that of another program than a product.
//!
//! Companies build products under names of their own: `grafana-custom`, `my-grafana`, `platform/dashboards`. Such a name
//! says nothing. `storefront` and `loki-chat` are other programs.

use crate::{engine::whole_words, product::Product, rules::VOCABULARY};

/// Words that say how an image is built, whose it is or where it runs. They name no program, alone or behind a
/// product's name.
const BUILDS: &[&str] = &[
    "aarch64",
    "agnostic",
    "alpine",
    "amd",
    "amd64",
    "arm",
    "arm64",
    "arm64v8",
    "art",
    "base",
    "build",
    "builds",
    "bundle",
    "ce",
    "centos",
    "cluster",
    "community",
    "config",
    "configured",
    "container",
    "core",
    "custom",
    "customized",
    "dashboard",
    "dashboards",
    "debian",
    "default",
    "dev",
    "devel",
    "distroless",
    "docker",
    "ee",
    "enterprise",
    "extended",
    "extra",
    "final",
    "fips",
    "fixed",
    "fork",
    "full",
    "hardened",
    "image",
    "images",
    "infra",
    "internal",
    "k8s",
    "kubernetes",
    "latest",
    "linux",
    "lite",
    "local",
    "main",
    "master",
    "mirror",
    "mirrored",
    "monitoring",
    "multiarch",
    "my",
    "nonroot",
    "observability",
    "ocp",
    "official",
    "ops",
    "oss",
    "our",
    "patch",
    "patched",
    "platform",
    "plugin",
    "plugins",
    "preloaded",
    "private",
    "prod",
    "production",
    "provisioned",
    "public",
    "query",
    "release",
    "root",
    "rootless",
    "scratch",
    "secure",
    "server",
    "service",
    "slim",
    "stable",
    "stack",
    "staging",
    "static",
    "team",
    "test",
    "the",
    "ubi",
    "ubuntu",
    "unprivileged",
    "v",
    "with",
    "x86",
];

/// Words that name no program alone. Behind a product's name they name a program beside it, such as `loki-ui`.
const PLAIN: &[&str] = &[
    "api",
    "app",
    "application",
    "backend",
    "demo",
    "frontend",
    "logging",
    "logs",
    "metrics",
    "monitor",
    "svc",
    "tools",
    "traces",
    "tracing",
    "ui",
    "web",
];

/// Official plugins of Elasticsearch and `OpenSearch`, and common ones of others, that builds are named after.
/// <https://www.elastic.co/docs/reference/elasticsearch/plugins>
const PLUGINS: &[&str] = &[
    "analysis",
    "azure",
    "gcs",
    "hdfs",
    "icu",
    "ik",
    "ingest",
    "attachment",
    "kuromoji",
    "nori",
    "phonetic",
    "pinyin",
    "readonlyrest",
    "repository",
    "s3",
    "smartcn",
    "stempel",
    "ukrainian",
    "xpack",
];

/// Words of gateways and web servers, which pass requests on.
const GATEWAYS: &[&str] = &[
    "apache",
    "apisix",
    "auth",
    "authelia",
    "authentik",
    "caddy",
    "dataplane",
    "envoy",
    "gatekeeper",
    "gateway",
    "haproxy",
    "httpd",
    "ingress",
    "kong",
    "nginx",
    "oauth",
    "oauth2",
    "oidc",
    "openresty",
    "pomerium",
    "proxy",
    "proxyv2",
    "saml",
    "traefik",
    "waf",
];

/// Short names of products in images.
const SHORT: &[(&str, Product)] = &[
    ("prom", Product::Prometheus),
    ("am", Product::Alertmanager),
    ("es", Product::Elasticsearch),
    ("elk", Product::Elasticsearch),
    ("elk", Product::Kibana),
    ("vm", Product::VictoriaMetrics),
    ("vl", Product::VictoriaLogs),
    ("vt", Product::VictoriaTraces),
    ("victoria", Product::VictoriaMetrics),
    ("cortex", Product::Mimir),
    ("lgtm", Product::Grafana),
];

/// Whether the image is another program than this product. Which tools an MCP server has, its image does not say.
pub(crate) fn is_another(image: &str, product: Product) -> bool {
    let is_gateway = whole_words::split(image).any(|word| GATEWAYS.contains(&word));
    if is_gateway || product == Product::MCP {
        return false;
    }
    let mention = VOCABULARY.mention(image, None);
    if mention.product() == Some(product) {
        // A word before the product's name is its owner's, one behind it is another program's.
        return mention.contradiction().is_some() || mention.after().any(|word| !is_build(word));
    }
    let is_short = |word: &str| SHORT.iter().any(|(short, of)| *short == word && *of == product);
    if let Some(at) = whole_words::split(image).position(is_short) {
        return whole_words::split(image).skip(at + 1).any(|word| !is_build(word));
    }
    whole_words::split(image).any(|word| !is_build(word) && !PLAIN.contains(&word))
}

fn is_build(word: &str) -> bool {
    let word = whole_words::without_version(word);
    word.len() <= 1 || BUILDS.contains(&word) || PLUGINS.contains(&word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_build_of_the_product_is_not_another_program() {
        for (image, product) in [
            ("grafana-custom", Product::Grafana),
            ("my-grafana", Product::Grafana),
            ("acme-grafana", Product::Grafana),
            ("grafana-with-plugins", Product::Grafana),
            ("grafana11", Product::Grafana),
            ("prom", Product::Prometheus),
            ("prom-v2", Product::Prometheus),
            ("elasticsearch-icu", Product::Elasticsearch),
            ("elasticsearch-analysis-ik", Product::Elasticsearch),
            ("victoria-metrics-arm64", Product::VictoriaMetrics),
            ("loki-linux-amd64", Product::Loki),
        ] {
            assert!(!is_another(image, product), "{image}");
        }
    }

    #[test]
    fn a_name_of_common_words_says_nothing() {
        for image in ["app", "service", "web", "platform", "dashboards", "custom", "ocp-v4.0-art-dev", "monitoring-ui"]
        {
            assert!(!is_another(image, Product::Grafana), "{image}");
        }
    }

    #[test]
    fn a_gateway_can_stand_before_the_product() {
        for image in ["openresty-lua", "auth-gateway", "proxyv2", "my-nginx"] {
            assert!(!is_another(image, Product::Grafana), "{image}");
        }
    }

    #[test]
    fn another_name_is_another_program() {
        for (image, product) in [
            ("storefront", Product::Grafana),
            ("loki-chat", Product::Loki),
            ("thanos-game", Product::Thanos),
            ("mimir-mail", Product::Mimir),
            ("loki-query-ui", Product::Loki),
            ("grafana-prometheus", Product::Grafana),
            ("headlamp", Product::Grafana),
            ("prom-shop", Product::Prometheus),
        ] {
            assert!(is_another(image, product), "{image}");
        }
    }
}
