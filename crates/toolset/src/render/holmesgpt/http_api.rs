//! What the agent's generic `type: http` needs for each product: the paths that answer queries, a path that shows that
//! it answers, and a text for the model. The texts are fixed. Of a Service they hold only its checked endpoint.

use detectors::Product;

/// What `type: http` needs to know of a product's API. All paths are below the endpoint's own path, and below `under`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct HttpApi {
    /// What it holds, for a description.
    pub holds: &'static str,
    /// The path of the API, unless the endpoint's path already ends in it. Mostly `""`.
    pub under: &'static str,
    /// The paths that answer queries, with `*` for anything. They are called only with GET.
    pub paths: &'static [&'static str],
    /// A cheap path that answers 2xx while the API works. `None` if none is known. Then the agent assumes that it
    /// works.
    pub check: Option<&'static str>,
    /// One line per query, each with a path below the endpoint. The model fills in what is in capitals.
    pub usage: &'static [&'static str],
}

/// <https://prometheus.io/docs/prometheus/latest/querying/api/>
const PROMETHEUS: HttpApi = HttpApi {
    holds: "metrics (Prometheus query API)",
    under: "",
    paths: &[
        "/api/v1/query",
        "/api/v1/query_range",
        "/api/v1/series",
        "/api/v1/labels",
        "/api/v1/label/*/values",
        "/api/v1/metadata",
        "/api/v1/rules",
        "/api/v1/alerts",
        "/api/v1/targets",
    ],
    check: Some("/api/v1/query?query=1"),
    usage: &[
        "/api/v1/query?query=PROMQL - value now",
        "/api/v1/query_range?query=PROMQL&start=RFC3339&end=RFC3339&step=60s - values over time",
        "/api/v1/label/__name__/values - names of metrics",
        "/api/v1/series?match[]=SELECTOR - series",
        "/api/v1/alerts, /api/v1/rules, /api/v1/targets - firing alerts, rules, scrape targets",
    ],
};

/// <https://prometheus.io/docs/alerting/latest/alerts_api/>
const ALERTMANAGER: HttpApi = HttpApi {
    holds: "firing alerts, groups and silences (Alertmanager API v2)",
    under: "",
    paths: &[
        "/api/v2/alerts",
        "/api/v2/alerts/groups",
        "/api/v2/silences",
        "/api/v2/silence/*",
        "/api/v2/receivers",
        "/api/v2/status",
    ],
    check: Some("/api/v2/status"),
    usage: &[
        "/api/v2/alerts?active=true&silenced=false&inhibited=false - alerts firing now",
        "/api/v2/alerts?filter=alertname%3D%22NAME%22 - one alert; filter can be repeated",
        "/api/v2/alerts/groups - as they are grouped for receivers",
        "/api/v2/silences - silences, with author and comment",
    ],
};

/// <https://grafana.com/docs/grafana/latest/developers/http_api/>
const GRAFANA: HttpApi = HttpApi {
    holds: "dashboards and annotations (Grafana)",
    under: "",
    paths: &[
        "/api/health",
        "/api/search",
        "/api/dashboards/uid/*",
        "/api/dashboards/tags",
        "/api/folders",
        "/api/annotations",
    ],
    check: Some("/api/health"),
    usage: &[
        "/api/search?query=WORDS&type=dash-db - find dashboards",
        "/api/dashboards/uid/UID - one dashboard with its queries",
        "/api/annotations?from=EPOCH_MS&to=EPOCH_MS - deployments and other marked events",
    ],
};

/// <https://grafana.com/docs/loki/latest/reference/loki-http-api/>
const LOKI: HttpApi = HttpApi {
    holds: "logs (Loki)",
    under: "",
    paths: &[
        "/loki/api/v1/query",
        "/loki/api/v1/query_range",
        "/loki/api/v1/labels",
        "/loki/api/v1/label/*/values",
        "/loki/api/v1/series",
        "/loki/api/v1/index/stats",
        "/loki/api/v1/status/buildinfo",
    ],
    // Unlike every query it needs no tenant.
    check: Some("/loki/api/v1/status/buildinfo"),
    usage: &[
        "/loki/api/v1/labels and /loki/api/v1/label/NAME/values - stream labels and their values",
        "/loki/api/v1/query_range?query=LOGQL&start=RFC3339&end=RFC3339&limit=100&direction=backward - log lines",
        "/loki/api/v1/query?query=LOGQL - metric queries over logs",
    ],
};

/// <https://grafana.com/docs/tempo/latest/api_docs/>
const TEMPO: HttpApi = HttpApi {
    holds: "traces (Tempo)",
    under: "",
    paths: &[
        "/api/search",
        "/api/search/*",
        "/api/v2/search/*",
        "/api/traces/*",
        "/api/v2/traces/*",
        "/api/metrics/query_range",
        "/api/echo",
    ],
    check: Some("/api/echo"),
    usage: &[
        "/api/v2/search/tags - names of the tags to search for",
        "/api/search?q=TRACEQL&start=EPOCH_S&end=EPOCH_S&limit=20 - find traces",
        "/api/v2/traces/TRACE_ID - one trace",
    ],
};

/// <https://www.jaegertracing.io/docs/latest/apis/>
const JAEGER: HttpApi = HttpApi {
    holds: "distributed traces (Jaeger query API)",
    under: "",
    paths: &["/api/*"],
    check: Some("/api/services"),
    usage: &[
        "/api/services - names of services",
        "/api/services/SERVICE/operations - its operations",
        "/api/traces?service=SERVICE&limit=20&lookback=1h - recent traces; add minDuration=500ms, operation=NAME or tags=%7B%22error%22%3A%22true%22%7D",
        "/api/traces/TRACE_ID - one trace",
        "/api/dependencies?endTs=EPOCH_MS&lookback=3600000 - calls between services",
    ],
};

/// <https://docs.victoriametrics.com/victoriatraces/querying/>
const VICTORIA_TRACES: HttpApi = HttpApi { under: "/select/jaeger", ..JAEGER };

/// <https://zipkin.io/zipkin-api/>
const ZIPKIN: HttpApi = HttpApi {
    holds: "distributed traces (Zipkin API v2)",
    under: "",
    paths: &["/api/v2/*"],
    check: Some("/api/v2/services"),
    usage: &[
        "/api/v2/services - names of services",
        "/api/v2/spans?serviceName=SERVICE - names of its spans",
        "/api/v2/traces?serviceName=SERVICE&lookback=3600000&limit=20 - recent traces; add minDuration=500000 (microseconds) or annotationQuery=error",
        "/api/v2/trace/TRACE_ID - one trace",
        "/api/v2/dependencies?endTs=EPOCH_MS&lookback=3600000 - calls between services",
    ],
};

/// <https://www.elastic.co/guide/en/elasticsearch/reference/current/rest-apis.html>; OpenSearch kept these.
const ELASTICSEARCH: HttpApi = HttpApi {
    holds: "indexed documents and logs (Elasticsearch API)",
    under: "",
    paths: &[
        "/_search",
        "/*/_search",
        "/*/_count",
        "/*/_mapping",
        "/_cat/*",
        "/_cluster/health",
        "/_cluster/stats",
        "/_nodes/stats",
    ],
    check: Some("/_cluster/health"),
    usage: &[
        "/_cat/indices?format=json - indices with sizes and health",
        "/INDEX/_mapping - fields",
        "/INDEX/_search?q=LUCENE&size=20&sort=@timestamp:desc - documents",
        "/INDEX/_count?q=LUCENE - number of matches",
        "/_cluster/health - state of the cluster",
    ],
};

/// <https://docs.victoriametrics.com/victorialogs/querying/>. Without `tail`, which never ends.
const VICTORIA_LOGS: HttpApi = HttpApi {
    holds: "logs (VictoriaLogs)",
    under: "",
    paths: &[
        "/select/logsql/query",
        "/select/logsql/hits",
        "/select/logsql/facets",
        "/select/logsql/stats_query",
        "/select/logsql/stats_query_range",
        "/select/logsql/streams",
        "/select/logsql/stream_ids",
        "/select/logsql/stream_field_names",
        "/select/logsql/stream_field_values",
        "/select/logsql/field_names",
        "/select/logsql/field_values",
    ],
    check: Some("/health"),
    usage: &[
        "/select/logsql/field_names?query=*&start=1h - field names",
        "/select/logsql/query?query=LOGSQL&start=1h&limit=100 - log lines, one JSON object per line",
        "/select/logsql/hits?query=LOGSQL&start=1h&step=5m - number of matches over time",
        "/select/logsql/stats_query?query=LOGSQL - statistics",
    ],
};

/// <https://www.elastic.co/docs/api/doc/kibana/>; OpenSearch Dashboards kept these.
const KIBANA: HttpApi = HttpApi {
    holds: "saved dashboards, searches and the state of Kibana or OpenSearch Dashboards",
    under: "",
    paths: &[
        "/api/status",
        "/api/saved_objects/*",
        "/api/data_views",
        "/api/spaces/space",
        "/api/alerting/rules/_find",
    ],
    check: Some("/api/status"),
    usage: &[
        "/api/status - version and health of it and of its data source",
        "/api/saved_objects/_find?type=dashboard&search=WORDS - find dashboards; type can be search, visualization or index-pattern",
        "/api/data_views - index patterns (Kibana only)",
        "/api/alerting/rules/_find - alert rules (Kibana only)",
    ],
};

/// Nothing is known of it.
const CUSTOM: HttpApi = HttpApi { holds: "an HTTP API", under: "", paths: &["/*"], check: None, usage: &[] };

/// The API of a product. Products with a toolset in the agent are included, because from a Tenant they are `type: http`
/// too.
pub(super) const fn of(product: Product) -> &'static HttpApi {
    match product {
        Product::Prometheus | Product::Thanos | Product::Mimir | Product::VictoriaMetrics => &PROMETHEUS,
        Product::Alertmanager => &ALERTMANAGER,
        Product::Grafana => &GRAFANA,
        Product::Loki => &LOKI,
        Product::Tempo => &TEMPO,
        Product::Jaeger => &JAEGER,
        Product::VictoriaTraces => &VICTORIA_TRACES,
        Product::Zipkin => &ZIPKIN,
        Product::Elasticsearch | Product::OpenSearch => &ELASTICSEARCH,
        Product::VictoriaLogs => &VICTORIA_LOGS,
        Product::Kibana => &KIBANA,
        Product::MCP | Product::Custom => &CUSTOM,
    }
}

impl HttpApi {
    /// The path that the API's own paths are appended to, for an endpoint with this path.
    pub(super) fn root(&self, path: &str) -> String {
        if path.ends_with(self.under) { path.to_owned() } else { format!("{path}{}", self.under) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_path_is_absolute_and_every_check_is_a_path_that_the_agent_may_call_or_a_health_path() {
        for product in Product::ALL {
            let api = of(*product);
            assert!(!api.paths.is_empty(), "{product}");
            assert!(api.paths.iter().chain(api.usage).all(|path| path.starts_with('/')), "{product}");
            assert!(api.check.is_none_or(|path| path.starts_with('/')), "{product}");
        }
    }

    #[test]
    fn no_fixed_text_holds_what_the_agent_would_expand() {
        for product in Product::ALL {
            for text in of(*product).usage {
                assert_eq!(crate::checked::text(text, 256), Ok(()), "{product}: {text}");
            }
        }
    }
}
