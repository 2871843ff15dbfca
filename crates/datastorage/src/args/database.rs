//! How to reach the database.

use std::{net::IpAddr, path::PathBuf, time::Duration};

use anyhow::Context as _;
use tokio_postgres::{
    Config,
    config::{Host, SslMode},
};

use super::values;
use crate::store::{Settings, Tls};

/// How to reach the database.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Database")]
pub struct Database {
    /// A file with the URL of the database, for example
    /// `postgres://datastorage@db-0.prod.svc,db-1.prod.svc:5432/datastorage`. It may contain the password
    #[arg(long, global = true, env = "DATASTORAGE_DATABASE_URL_FILE", value_name = "FILE")]
    pub database_url_file: Option<PathBuf>,

    /// A file with the password, if the URL has none. It is read for every new connection, so that the password can change
    /// while the service runs
    #[arg(long, global = true, env = "DATASTORAGE_DATABASE_PASSWORD_FILE", value_name = "FILE")]
    pub database_password_file: Option<PathBuf>,

    /// How the connection is secured [default: verify-full with --database-ca, or else what sslmode in the URL says, or else
    /// require, or disable for a database on this host]
    #[arg(long, global = true, env = "DATASTORAGE_DATABASE_TLS", value_enum, value_name = "MODE")]
    pub database_tls: Option<Tls>,

    /// A file with the certificates in PEM format that sign the certificate of the database
    #[arg(long, global = true, env = "DATASTORAGE_DATABASE_CA", value_name = "FILE")]
    pub database_ca: Option<PathBuf>,

    /// The most connections to the database
    #[arg(
        long,
        global = true,
        env = "DATASTORAGE_DATABASE_CONNECTIONS",
        value_name = "NUMBER",
        default_value_t = 50,
        value_parser = clap::value_parser!(u32).range(2..=1000)
    )]
    pub database_connections: u32,

    /// The schema of all tables
    #[arg(
        long,
        global = true,
        env = "DATASTORAGE_SCHEMA",
        value_name = "NAME",
        default_value = "datastorage",
        value_parser = values::schema
    )]
    pub schema: String,

    /// The longest time of a query. A client whose query takes longer gets 504
    #[arg(
        long,
        global = true,
        env = "DATASTORAGE_QUERY_TIMEOUT",
        value_name = "DURATION",
        default_value = "5s",
        value_parser = values::positive_duration
    )]
    pub query_timeout: Duration,

    /// The longest time until a write is answered. A client whose write takes longer gets 504 and does not know whether its
    /// records are stored. It can send them again with the same ids
    #[arg(
        long,
        global = true,
        env = "DATASTORAGE_WRITE_TIMEOUT",
        value_name = "DURATION",
        default_value = "10s",
        value_parser = values::positive_duration
    )]
    pub write_timeout: Duration,
}

impl Database {
    /// The settings of the store. Reads the URL.
    pub fn settings(&self) -> Result<Settings, anyhow::Error> {
        let file = self.database_url_file.as_ref();
        let file =
            file.context("--database-url-file is missing; set it to a file that contains the URL of the database")?;
        let url = std::fs::read_to_string(file)
            .with_context(|| format!("cannot read --database-url-file {}", file.display()))?;
        let url = url.trim().to_owned();
        let tls = match (self.database_tls, &self.database_ca) {
            (Some(tls), _) => tls,
            (None, Some(_)) => Tls::VerifyFull,
            (None, None) => {
                tls_of(&url).with_context(|| format!("--database-url-file {} contains no valid URL", file.display()))?
            }
        };
        Ok(Settings {
            url,
            password_file: self.database_password_file.clone(),
            ca: self.database_ca.clone(),
            tls,
            connections: self.database_connections as usize,
            schema: self.schema.clone(),
            query_timeout: self.query_timeout,
            write_timeout: self.write_timeout,
        })
    }
}

/// How a connection is secured that no flag describes. A password must not cross the network in plain text by accident.
fn tls_of(url: &str) -> Result<Tls, tokio_postgres::Error> {
    let config: Config = url.parse()?;
    Ok(match config.get_ssl_mode() {
        SslMode::Disable => Tls::Disable,
        SslMode::Prefer if config.get_hosts().iter().all(is_this_host) => Tls::Disable,
        _ => Tls::Require,
    })
}

fn is_this_host(host: &Host) -> bool {
    match host {
        Host::Tcp(name) => name == "localhost" || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback()),
        #[cfg(unix)]
        Host::Unix(_) => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_on_another_host_needs_tls_unless_the_url_says_otherwise() {
        assert_eq!(tls_of("postgres://a@db.prod.svc/x").unwrap(), Tls::Require);
        assert_eq!(tls_of("postgres://a@db.prod.svc/x?sslmode=disable").unwrap(), Tls::Disable);
        assert_eq!(tls_of("postgres://a@127.0.0.1,db.prod.svc/x").unwrap(), Tls::Require);
        assert_eq!(tls_of("postgres://a@127.0.0.1:5433/x").unwrap(), Tls::Disable);
        assert_eq!(tls_of("postgres://a@localhost/x?sslmode=require").unwrap(), Tls::Require);
        assert!(tls_of("not a url").is_err());
    }
}
