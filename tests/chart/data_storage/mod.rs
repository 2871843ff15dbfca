//! The chart of Data Storage.

mod alerts;
mod dashboard;
mod discovery;
mod install;
mod kubelet;
mod refused;
mod rendered;
mod whole;

/// The fewest values with which the chart can be installed.
const SMALLEST: &str = r#"
database: {url: "postgresql://service@pg:5432/datastorage", passwordSecret: {name: service}}
migration: {urlSecret: {name: owner}}
tls: {secretName: certificate}
"#;

/// Everything that can be switched on.
const EVERYTHING: &str = r#"
database:
  url: postgresql://service@pg:5432/datastorage
  passwordSecret: {name: service, key: pw}
  caSecret: {name: pg-ca, key: ca.crt}
migration: {url: "postgresql://owner@pg:5432/datastorage", passwordSecret: {name: owner, key: pw}}
tls: {certManager: {enabled: true, issuerRef: {name: internal, kind: ClusterIssuer}}, dnsNames: [audit.example.com]}
chain: {keys: [{id: 1, secret: {name: chain, key: one}}, {id: 2, secret: {name: chain, key: two}}]}
auth: {readTokensSecret: {name: read-tokens}}
embedding: {provider: http, url: "http://tei.ai:8080", tokenSecret: {name: provider}, caSecret: {name: provider-ca}}
mcp: {allowedOrigins: ["https://a.example"]}
cluster: eu-1
commonLabels: {team: platform}
commonAnnotations: {owner: platform}
networkPolicy: {clientNamespaces: [holmes]}
metrics:
  serviceMonitor: {enabled: true, labels: {release: kps}, interval: 15s}
  prometheusRule: {enabled: true, alertLabels: {team: platform}, disabled: [DataStorageLowCacheHitRate]}
  dashboard: {enabled: true}
"#;
