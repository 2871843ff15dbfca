//! Flags of `serve`.

use std::{net::SocketAddr, num::NonZeroU32, path::PathBuf, time::Duration};

use anyhow::bail;
use clap::ValueEnum;

use super::values;
use crate::{
    limits,
    store::{MigrateMode, Vectors},
};

/// Flags of `serve`.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Serve")]
pub struct Serve {
    /// The address of the API. With port 0, the service chooses a free port and logs it
    #[arg(
        long,
        env = "DATASTORAGE_LISTEN",
        value_name = "ADDRESS",
        default_value = "0.0.0.0:8080",
        value_parser = values::address
    )]
    pub listen: SocketAddr,

    /// The address of /health and /ready, without TLS and without authentication
    #[arg(
        long,
        env = "DATASTORAGE_HEALTH_ADDR",
        value_name = "ADDRESS",
        default_value = "0.0.0.0:8081",
        value_parser = values::address
    )]
    pub health_addr: SocketAddr,

    /// The address of /metrics, without TLS and without authentication. The metrics contain no data of records
    #[arg(
        long,
        env = "DATASTORAGE_METRICS_ADDR",
        value_name = "ADDRESS",
        default_value = "0.0.0.0:9090",
        value_parser = values::address
    )]
    pub metrics_addr: SocketAddr,

    /// A file with the certificate chain of the API in PEM format. The service reads it again when it changes
    #[arg(long, env = "DATASTORAGE_TLS_CERT", value_name = "FILE", requires = "tls_key")]
    pub tls_cert: Option<PathBuf>,

    /// A file with the private key of the certificate in PEM format. The service reads it again when it changes
    #[arg(long, env = "DATASTORAGE_TLS_KEY", value_name = "FILE", requires = "tls_cert")]
    pub tls_key: Option<PathBuf>,

    /// The name of this cluster. The service adds it to every record without a cluster. A permission in a namespace applies
    /// only to records of this cluster
    #[arg(
        long,
        env = "DATASTORAGE_CLUSTER",
        value_name = "NAME",
        default_value = "",
        hide_default_value = true,
        value_parser = values::cluster
    )]
    pub cluster: String,

    /// Whether the service creates and upgrades the tables when it starts
    #[arg(long, env = "DATASTORAGE_MIGRATE", value_enum, value_name = "MODE", default_value_t = MigrateMode::Auto)]
    pub migrate: MigrateMode,

    /// A key of the chain, as <id>:<path>. For several keys, use commas or repeat the flag. The key with the highest id signs
    /// new records. Without a key, the owner of the database can rewrite the chain
    #[arg(
        long = "chain-key-file",
        env = "DATASTORAGE_CHAIN_KEY_FILE",
        value_name = "ID:PATH",
        value_delimiter = ',',
        value_parser = values::chain_key
    )]
    pub chain_key_files: Vec<String>,

    /// The maximum age of records that clients with the permission import can write, for example 400d
    #[arg(
        long,
        env = "DATASTORAGE_RETENTION",
        value_name = "DURATION",
        default_value = "400d",
        value_parser = values::positive_duration
    )]
    pub retention: Duration,

    /// The minimum age of the records in a month that drop-month can remove
    #[arg(
        long,
        env = "DATASTORAGE_RETENTION_FLOOR",
        value_name = "DURATION",
        default_value = "30d",
        value_parser = values::positive_duration
    )]
    pub retention_floor: Duration,

    /// How long the service still accepts requests after SIGTERM. In this time, it is not ready, and clients stop using it
    #[arg(
        long,
        env = "DATASTORAGE_SHUTDOWN_DELAY",
        value_name = "DURATION",
        default_value = "5s",
        value_parser = values::duration
    )]
    pub shutdown_delay: Duration,

    /// The maximum time from SIGTERM until the process ends
    #[arg(
        long,
        env = "DATASTORAGE_SHUTDOWN_TIMEOUT",
        value_name = "DURATION",
        default_value = "30s",
        value_parser = values::positive_duration
    )]
    pub shutdown_timeout: Duration,

    /// How clients authenticate
    #[arg(
        long,
        env = "DATASTORAGE_AUTH",
        value_enum,
        value_name = "MODE",
        default_value_t = AuthMode::Kubernetes,
        help_heading = "Authentication and limits"
    )]
    pub auth: AuthMode,

    /// The audience that the token of a ServiceAccount must have
    #[arg(
        long,
        env = "DATASTORAGE_AUTH_AUDIENCE",
        value_name = "NAME",
        default_value = "datastorage",
        help_heading = "Authentication and limits"
    )]
    pub auth_audience: String,

    /// A file with static read-only tokens, for clients that cannot refresh a token. Each line has a name, the SHA-256 of the
    /// token, and the namespaces that the token can read. The service reads the file again when it changes
    #[arg(long, env = "DATASTORAGE_READ_TOKEN_FILE", value_name = "FILE", help_heading = "Authentication and limits")]
    pub read_token_file: Option<PathBuf>,

    /// The origins of web pages that can use /mcp, separated by commas [default: none]
    #[arg(
        long = "mcp-allowed-origins",
        env = "DATASTORAGE_MCP_ALLOWED_ORIGINS",
        value_name = "ORIGINS",
        value_delimiter = ',',
        help_heading = "Authentication and limits"
    )]
    pub mcp_allowed_origins: Vec<String>,

    /// How many records an identity can write per second. 0 means no limit [default: 500, or no limit with --auth=none]
    #[arg(
        long,
        env = "DATASTORAGE_RATE_LIMIT_WRITES",
        value_name = "NUMBER",
        help_heading = "Authentication and limits"
    )]
    pub rate_limit_writes: Option<u32>,

    /// How many records an identity can write at once after a pause
    #[arg(
        long,
        env = "DATASTORAGE_RATE_LIMIT_BURST",
        value_name = "NUMBER",
        default_value = "750",
        help_heading = "Authentication and limits"
    )]
    pub rate_limit_burst: NonZeroU32,

    /// How many requests of an identity can be in progress. 0 means no limit [default: 64, or no limit with --auth=none]
    #[arg(
        long,
        env = "DATASTORAGE_RATE_LIMIT_IN_FLIGHT",
        value_name = "NUMBER",
        help_heading = "Authentication and limits"
    )]
    pub rate_limit_in_flight: Option<u32>,

    /// How many connections to the API one address can have. 0 means no limit. If all clients connect through one ingress,
    /// increase the number [default: 512, or no limit with --auth=none]
    #[arg(
        long,
        env = "DATASTORAGE_CONNECTIONS_PER_ADDRESS",
        value_name = "NUMBER",
        help_heading = "Authentication and limits"
    )]
    pub connections_per_address: Option<u32>,

    /// Whether the service uses pgvector for search by meaning
    #[arg(
        long,
        env = "DATASTORAGE_VECTOR",
        value_enum,
        value_name = "MODE",
        default_value_t = Vectors::Preferred,
        help_heading = "Search"
    )]
    pub vector: Vectors,

    /// What makes the vectors for search by meaning
    #[arg(
        long,
        env = "DATASTORAGE_EMBEDDING",
        value_enum,
        value_name = "MODE",
        default_value_t = EmbeddingMode::Off,
        help_heading = "Search"
    )]
    pub embedding: EmbeddingMode,

    /// The URL of the embedding provider, without /v1/embeddings
    #[arg(
        long,
        env = "DATASTORAGE_EMBEDDING_URL",
        value_name = "URL",
        required_if_eq("embedding", "http"),
        value_parser = values::http_url,
        help_heading = "Search"
    )]
    pub embedding_url: Option<String>,

    /// The name of the model at the provider
    #[arg(
        long,
        env = "DATASTORAGE_EMBEDDING_MODEL",
        value_name = "NAME",
        default_value = super::DEFAULT_MODEL,
        help_heading = "Search"
    )]
    pub embedding_model: String,

    /// The number of dimensions of the model's vectors
    #[arg(
        long,
        env = "DATASTORAGE_EMBEDDING_DIMENSIONS",
        value_name = "NUMBER",
        default_value_t = 384,
        value_parser = clap::value_parser!(u16).range(1..=4000),
        help_heading = "Search"
    )]
    pub embedding_dimensions: u16,

    /// A file with the bearer token for the provider. The service reads it again when it changes
    #[arg(long, env = "DATASTORAGE_EMBEDDING_TOKEN_FILE", value_name = "FILE", help_heading = "Search")]
    pub embedding_token_file: Option<PathBuf>,

    /// A file with the certificates of the CA that signed the certificate of the provider, in PEM format [default: the CAs of
    /// the system]
    #[arg(long, env = "DATASTORAGE_EMBEDDING_CA", value_name = "FILE", help_heading = "Search")]
    pub embedding_ca: Option<PathBuf>,

    /// The maximum size of the cache of vectors
    #[arg(
        long,
        env = "DATASTORAGE_CACHE_BYTES",
        value_name = "BYTES",
        default_value = "16MiB",
        value_parser = values::bytes,
        help_heading = "Search"
    )]
    pub cache_bytes: u64,

    /// How long the cache keeps a vector
    #[arg(
        long,
        env = "DATASTORAGE_CACHE_TTL",
        value_name = "DURATION",
        default_value = "24h",
        value_parser = values::positive_duration,
        help_heading = "Search"
    )]
    pub cache_ttl: Duration,
}

/// What makes vectors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum EmbeddingMode {
    /// A server with the OpenAI API, for example text-embeddings-inference, vLLM or Ollama.
    Http,
    /// Nothing. Search uses only words.
    Off,
}

/// How clients authenticate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum AuthMode {
    /// With tokens of ServiceAccounts, which the API server checks, or with the tokens in --read-token-file.
    Kubernetes,
    /// Without authentication. All addresses must be loopback addresses.
    None,
}

impl Serve {
    /// The limits of one identity. With `--auth=none`, all clients have one identity, so only the limits that are set apply.
    ///
    /// The queries of one identity use at most a quarter of the connections to the database.
    pub fn limits(&self, connections: usize) -> limits::Settings {
        limits::Settings {
            writes_per_second: self.limit(self.rate_limit_writes, 500),
            burst: self.rate_limit_burst,
            in_flight: self.limit(self.rate_limit_in_flight, 64),
            reads: (self.auth != AuthMode::None).then_some((connections / 4).max(1)),
        }
    }

    /// How many connections to the API one address can have. None means no limit.
    pub fn per_address(&self) -> Option<NonZeroU32> {
        self.limit(self.connections_per_address, 512)
    }

    fn limit(&self, given: Option<u32>, usual: u32) -> Option<NonZeroU32> {
        let unless_given = if self.auth == AuthMode::None { 0 } else { usual };
        NonZeroU32::new(given.unwrap_or(unless_given))
    }

    /// Fails if flags contradict each other.
    pub fn check(&self) -> Result<(), anyhow::Error> {
        if self.auth == AuthMode::None {
            let addresses =
                [("listen", self.listen), ("health-addr", self.health_addr), ("metrics-addr", self.metrics_addr)];
            for (flag, address) in addresses {
                if !address.ip().is_loopback() {
                    bail!(
                        "--auth=none lets everybody read and write, so --{flag} {address} must be a loopback address; use \
                         127.0.0.1:{}, or remove --auth=none",
                        address.port()
                    );
                }
            }
        }
        if self.shutdown_delay >= self.shutdown_timeout {
            bail!("--shutdown-delay must be shorter than --shutdown-timeout, which includes it");
        }
        if self.retention < self.retention_floor {
            bail!("--retention must not be shorter than --retention-floor");
        }
        if self.embedding == EmbeddingMode::Http && self.vector == Vectors::Off {
            bail!("--embedding=http needs the tables of vectors; remove --vector=off");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        serve: Serve,
    }

    fn serve(line: &str) -> Serve {
        Line::parse_from(std::iter::once("datastorage").chain(line.split_whitespace())).serve
    }

    #[test]
    fn limits_are_per_identity_so_without_authentication_only_those_that_are_given_count() {
        let usual = serve("").limits(50);
        let number = |limit: Option<NonZeroU32>| limit.map(NonZeroU32::get);
        assert_eq!(
            (number(usual.writes_per_second), usual.burst.get(), number(usual.in_flight)),
            (Some(500), 750, Some(64))
        );
        assert_eq!(serve("--auth=none").limits(50).writes_per_second, None);
        assert_eq!(serve("--auth=none").limits(50).in_flight, None);
        let given = serve("--auth=none --rate-limit-writes=7 --rate-limit-in-flight=3").limits(50);
        assert_eq!((number(given.writes_per_second), number(given.in_flight)), (Some(7), Some(3)));
        assert_eq!(serve("--rate-limit-writes=0").limits(50).writes_per_second, None);
        assert_eq!((usual.reads, serve("--auth=none").limits(50).reads), (Some(12), None));
        assert_eq!(number(serve("").per_address()), Some(512));
        assert_eq!(number(serve("--connections-per-address=0").per_address()), None);
        assert_eq!(number(serve("--auth=none").per_address()), None);
    }

    #[test]
    fn without_authentication_every_address_must_be_loopback() {
        let loopback = ["--listen=127.0.0.1:0", "--health-addr=[::1]:0", "--metrics-addr=localhost:0"];
        serve(&format!("--auth=none {}", loopback.join(" "))).check().unwrap();
        for public in loopback {
            let others = loopback.into_iter().filter(|flag| *flag != public).collect::<Vec<_>>().join(" ");
            let error = serve(&format!("--auth=none {others}")).check().unwrap_err().to_string();
            let (flag, _) = public.split_once('=').unwrap();
            assert!(error.contains(&format!("{flag} 0.0.0.0:")), "{error}");
        }
        serve("--listen 0.0.0.0:8080").check().unwrap();
    }

    #[test]
    fn flags_that_contradict_each_other_are_refused() {
        for (line, expected) in [
            ("--shutdown-delay 30s", "--shutdown-delay must be shorter"),
            ("--retention 7d", "--retention must not be shorter"),
            ("--embedding http --embedding-url http://e --vector off", "remove --vector=off"),
        ] {
            let error = serve(line).check().unwrap_err().to_string();
            assert!(error.contains(expected), "{line}: {error}");
        }
    }

    #[test]
    fn a_provider_needs_its_url() {
        assert!(Line::try_parse_from(["datastorage", "--embedding", "http"]).is_err());
        assert!(Line::try_parse_from(["datastorage", "--embedding", "http", "--embedding-url", "ftp://e"]).is_err());
        assert_eq!(serve("--embedding http --embedding-url http://e:1/").embedding_url.as_deref(), Some("http://e:1"));
    }

    #[test]
    fn a_certificate_needs_its_key() {
        assert!(Line::try_parse_from(["datastorage", "--tls-cert", "a"]).is_err());
        assert!(Line::try_parse_from(["datastorage", "--tls-key", "a"]).is_err());
    }
}
