//! Flags and the environment variables that stand for them.

use std::{
    collections::BTreeSet,
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use audit_client::Endpoint;
use clap::{ArgAction, Parser};
use logging::Format;
use toolset::checked::{cluster_domain, is_dns_label, is_dns_subdomain};

/// Watches Services, recognises the observability systems among them, and keeps one ConfigMap per ToolsetConfig up to
/// date.
///
/// Connects to the cluster in KUBECONFIG. If KUBECONFIG is not set, it connects to the cluster that it runs in.
#[derive(Clone, Debug, Parser)]
#[command(name = "toolset-controller", version, max_term_width = 120)]
pub struct Args {
    /// The address of /health and /ready. With port 0, the operator chooses a free port and logs it.
    #[arg(long, env = "TOOLSET_HEALTH_ADDR", value_name = "ADDRESS", default_value = "0.0.0.0:8080")]
    pub health_addr: SocketAddr,

    /// The address of /metrics, which requires no authentication. The metrics contain no names of Services. With port 0,
    /// the operator chooses a free port and logs it.
    #[arg(long, env = "TOOLSET_METRICS_ADDR", value_name = "ADDRESS", default_value = "0.0.0.0:9090")]
    pub metrics_addr: SocketAddr,

    /// The cluster's DNS domain [default: the svc. search line of /etc/resolv.conf, or else cluster.local]
    #[arg(long, env = "TOOLSET_CLUSTER_DOMAIN", value_name = "DOMAIN", value_parser = cluster_domain)]
    pub cluster_domain: Option<String>,

    /// The namespaces in which the operator watches Services and EndpointSlices, separated by commas [default: all]
    #[arg(long, env = "TOOLSET_WATCH_NAMESPACES", value_name = "NAMES", value_delimiter = ',', value_parser = label)]
    pub watch_namespaces: Vec<String>,

    /// The namespaces in which the operator reconciles ToolsetConfigs, separated by commas [default: all]
    #[arg(long, env = "TOOLSET_CONFIG_NAMESPACES", value_name = "NAMES", value_delimiter = ',', value_parser = label)]
    pub config_namespaces: Vec<String>,

    /// Elect a leader with a Lease, so that several replicas can run. Only the leader writes.
    #[arg(
        long,
        env = "TOOLSET_LEADER_ELECT",
        value_name = "BOOL",
        action = ArgAction::Set,
        num_args = 0..=1,
        require_equals = true,
        default_value_t = false,
        default_missing_value = "true"
    )]
    pub leader_elect: bool,

    /// The namespace of the Lease [default: the operator's own namespace]
    #[arg(long, env = "TOOLSET_LEASE_NAMESPACE", value_name = "NAME", value_parser = label)]
    pub lease_namespace: Option<String>,

    /// The name of the Lease.
    #[arg(
        long,
        env = "TOOLSET_LEASE_NAME",
        value_name = "NAME",
        default_value = "toolset-operator",
        value_parser = subdomain
    )]
    pub lease_name: String,

    /// The directory that contains agents.json, which lists the agents that the operator can ask what they have loaded,
    /// and their keys and certificates [default: the operator asks no agent]
    #[arg(long, env = "TOOLSET_AGENTS_DIR", value_name = "DIRECTORY")]
    pub agents_dir: Option<PathBuf>,

    /// The URL of Data Storage, to which the operator sends audit records, for example
    /// https://data-storage.audit.svc:8080 [default: the operator sends no records]
    #[arg(long, env = "TOOLSET_AUDIT_URL", value_name = "URL")]
    pub audit_url: Option<Endpoint>,

    /// The file with the token for audit records. The operator reads it again before every request.
    #[arg(long, env = "TOOLSET_AUDIT_TOKEN_FILE", value_name = "FILE", requires = "audit_url")]
    pub audit_token_file: Option<PathBuf>,

    /// The file with the certificates of the CA that signs Data Storage's certificate. An https URL needs it.
    #[arg(long, env = "TOOLSET_AUDIT_CA_FILE", value_name = "FILE", requires = "audit_url")]
    pub audit_ca_file: Option<PathBuf>,

    /// How many audit records can wait. Further records are dropped and counted. The operator never waits for Data
    /// Storage.
    #[arg(
        long,
        env = "TOOLSET_AUDIT_QUEUE",
        value_name = "RECORDS",
        default_value_t = 1024,
        value_parser = clap::value_parser!(u16).range(1..)
    )]
    pub audit_queue: u16,

    /// The log level (off, error, warn, info, debug or trace), optionally followed by levels for individual modules, for
    /// example info,controller=debug.
    #[arg(long, env = "TOOLSET_LOG_LEVEL", value_name = "LEVEL", default_value = "info", value_parser = logging::levels)]
    pub log_level: String,

    /// The format of log lines.
    #[arg(long, env = "TOOLSET_LOG_FORMAT", value_name = "FORMAT", value_enum, default_value_t = Format::Json)]
    pub log_format: Format,

    /// How long writes in progress may take after SIGTERM, for example 10s or 1500ms. The process ends within this time.
    #[arg(long, env = "TOOLSET_SHUTDOWN_TIMEOUT", value_name = "DURATION", default_value = "10s", value_parser = duration)]
    pub shutdown_timeout: Duration,

    /// Checks an installation instead of starting the operator. Waits until all replicas at this address are ready and
    /// one of them is the leader, and then exits. The address is a host and the port of --health-addr. `helm test` uses it.
    #[arg(long, value_name = "HOST:PORT", value_parser = host_and_port)]
    pub probe: Option<String>,
}

impl Args {
    /// The namespaces whose Services are watched, each one once.
    pub(crate) fn watch_namespaces(&self) -> Vec<String> {
        distinct(&self.watch_namespaces)
    }

    /// The namespaces whose ToolsetConfigs are reconciled, each one once.
    pub(crate) fn config_namespaces(&self) -> Vec<String> {
        distinct(&self.config_namespaces)
    }

    /// The cluster's DNS domain: the flag, else what the kubelet wrote into the pod's resolv.conf, else
    /// `cluster.local`.
    pub fn cluster_domain(&self) -> String {
        self.cluster_domain.clone().unwrap_or_else(|| {
            let text = fs::read_to_string(Path::new("/etc/resolv.conf")).unwrap_or_default();
            search_domain(&text).unwrap_or_else(|| "cluster.local".to_owned())
        })
    }
}

/// The cluster domain in a pod's resolv.conf, where the kubelet writes `search <ns>.svc.<domain> svc.<domain>
/// <domain>`.
fn search_domain(resolv_conf: &str) -> Option<String> {
    resolv_conf
        .lines()
        .filter_map(|line| line.trim().strip_prefix("search"))
        .flat_map(str::split_whitespace)
        .find_map(|entry| cluster_domain(entry.strip_prefix("svc.")?).ok())
}

fn distinct(names: &[String]) -> Vec<String> {
    names.iter().cloned().collect::<BTreeSet<_>>().into_iter().collect()
}

fn label(text: &str) -> Result<String, String> {
    if is_dns_label(text) {
        Ok(text.to_owned())
    } else {
        Err("must consist of at most 63 lower-case letters, digits and dashes, and must not start or end with a dash"
            .to_owned())
    }
}

fn subdomain(text: &str) -> Result<String, String> {
    if is_dns_subdomain(text) {
        Ok(text.to_owned())
    } else {
        Err("must consist of lower-case letters, digits, dashes and dots, and no part can start or end with a dash"
            .to_owned())
    }
}

fn host_and_port(text: &str) -> Result<String, String> {
    match text.rsplit_once(':') {
        Some((host, port)) if !host.is_empty() && port.parse::<u16>().is_ok() => Ok(text.to_owned()),
        _ => Err("must be a host and a port, for example toolset-operator:8080".to_owned()),
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    let (number, unit): (&str, fn(u64) -> Duration) = match text {
        _ if text.ends_with("ms") => (&text[..text.len() - 2], Duration::from_millis),
        _ if text.ends_with('s') => (&text[..text.len() - 1], Duration::from_secs),
        _ if text.ends_with('m') => {
            (&text[..text.len() - 1], |minutes| Duration::from_secs(minutes.saturating_mul(60)))
        }
        _ => (text, Duration::from_secs),
    };
    number.parse().map(unit).map_err(|_| "not a duration such as 10s, 1500ms or 1m".to_owned())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_flags_are_well_formed() {
        Args::command().debug_assert();
    }

    #[test]
    fn the_cluster_domain_is_read_from_the_search_line() {
        let pod =
            "search holmes.svc.corp.example svc.corp.example corp.example\nnameserver 10.96.0.10\noptions ndots:5\n";
        assert_eq!(search_domain(pod).as_deref(), Some("corp.example"));
        assert_eq!(search_domain("nameserver 1.1.1.1\nsearch lan\n"), None);
    }

    #[test]
    fn leader_election_is_off_unless_asked_for_and_can_be_asked_for_in_three_ways() {
        let parse = |args: &[&str]| Args::parse_from(std::iter::once(&"toolset-controller").chain(args)).leader_elect;
        assert!(!parse(&[]));
        assert!(parse(&["--leader-elect"]));
        assert!(parse(&["--leader-elect=true"]));
        assert!(!parse(&["--leader-elect=false"]));
    }

    #[test]
    fn namespaces_are_comma_separated() {
        let args = Args::parse_from(["toolset-controller", "--watch-namespaces", "a,b"]);
        assert_eq!(args.watch_namespaces, ["a", "b"]);
        let twice = Args::parse_from(["toolset-controller", "--watch-namespaces=b,a,b", "--config-namespaces=c,c"]);
        assert_eq!(twice.watch_namespaces(), ["a", "b"]);
        assert_eq!(twice.config_namespaces(), ["c"]);
        // An empty list is a mistake of a template. It does not mean all namespaces.
        for bad in ["A_b", "", "a,", ",a", "a, b"] {
            refused("--watch-namespaces", bad);
            refused("--config-namespaces", bad);
        }
    }

    /// Fails unless the value is refused as a wrong value.
    fn refused(flag: &str, value: &str) {
        let error = Args::try_parse_from(["toolset-controller", &format!("{flag}={value}")]).unwrap_err();
        assert_eq!(error.kind(), clap::error::ErrorKind::ValueValidation, "{flag}={value}");
        assert_eq!(error.exit_code(), 2);
    }

    #[test]
    fn an_invalid_log_level_is_refused() {
        for good in ["info", "OFF", "Debug", "info,controller=debug", "controller::api=trace,warn", "kube=off"] {
            let args = Args::try_parse_from(["toolset-controller", &format!("--log-level={good}")]).unwrap();
            assert_eq!(args.log_level, good);
        }
        for bad in [
            "nonsense",
            "",
            "info,",
            "info,kube",
            "kube=",
            "=info",
            "kube=loud",
            "info,debug",
            "in fo",
            "5",
            "a[b]=info",
        ] {
            refused("--log-level", bad);
        }
    }

    #[test]
    fn a_misspelt_log_level_is_answered_with_the_levels() {
        let error = Args::try_parse_from(["toolset-controller", "--log-level=inof"]).unwrap_err().to_string();
        let expected = "\"inof\" is not a log level; use one of off, error, warn, info, debug, trace, or module=level";
        assert!(error.contains(expected), "{error}");
    }

    #[test]
    fn a_probe_needs_a_host_and_a_port() {
        for bad in ["", "host", "host:", ":8080", "host:http", "host:99999"] {
            refused("--probe", bad);
        }
        assert_eq!(Args::parse_from(["toolset-controller", "--probe=[::1]:80"]).probe.as_deref(), Some("[::1]:80"));
    }

    #[test]
    fn names_that_the_api_server_would_refuse_are_refused() {
        for bad in ["A_B", "", ".", "a..b", "-a", "a/b"] {
            refused("--lease-name", bad);
            refused("--lease-namespace", bad);
        }
        let args = Args::parse_from(["toolset-controller", "--lease-name=a.b-c"]);
        assert_eq!(args.lease_name, "a.b-c");
        for bad in ["evil{{", "a..b", "", "A.b"] {
            refused("--cluster-domain", bad);
        }
    }

    #[test]
    fn durations_carry_their_unit() {
        assert_eq!(duration("1500ms"), Ok(Duration::from_millis(1500)));
        assert_eq!(duration("2m"), Ok(Duration::from_secs(120)));
        assert_eq!(duration("7"), Ok(Duration::from_secs(7)));
        assert!(duration("soon").is_err());
    }
}
