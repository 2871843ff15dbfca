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
    /// `postgresql://datastorage_service@db-0.db,db-1.db:5432/datastorage`. The URL can contain the password
    #[arg(long, global = true, env = "DATASTORAGE_DATABASE_URL_FILE", value_name = "FILE")]
    pub database_url_file: Option<PathBuf>,

    /// A file with the password, if the URL does not contain it. The program reads the file for every new connection, so you
    /// can change the password without a restart
    #[arg(long, global = true, env = "DATASTORAGE_DATABASE_PASSWORD_FILE", value_name = "FILE")]
    pub database_password_file: Option<PathBuf>,

    /// How TLS protects the connection [default: verify-full with --database-ca, otherwise the sslmode in the URL, otherwise
    /// disable for a database on this host and require for any other]
    #[arg(long, global = true, env = "DATASTORAGE_DATABASE_TLS", value_enum, value_name = "MODE")]
    pub database_tls: Option<Tls>,

    /// A file with the certificates of the CA that signed the certificate of the database, in PEM format
    #[arg(long, global = true, env = "DATASTORAGE_DATABASE_CA", value_name = "FILE")]
    pub database_ca: Option<PathBuf>,

    /// The maximum number of connections to the database
    #[arg(
        long,
        global = true,
        env = "DATASTORAGE_DATABASE_CONNECTIONS",
        value_name = "NUMBER",
        default_value_t = 50,
        value_parser = clap::value_parser!(u32).range(2..=1000)
    )]
    pub database_connections: u32,

    /// The schema that contains all tables
    #[arg(
        long,
        global = true,
        env = "DATASTORAGE_SCHEMA",
        value_name = "NAME",
        default_value = "datastorage",
        value_parser = values::schema
    )]
    pub schema: String,

    /// The maximum duration of a query. If a query takes longer, the client gets status 504
    #[arg(
        long,
        global = true,
        env = "DATASTORAGE_QUERY_TIMEOUT",
        value_name = "DURATION",
        default_value = "5s",
        value_parser = values::positive_duration
    )]
    pub query_timeout: Duration,

    /// The maximum duration of a write. If a write takes longer, the client gets status 504 and does not know whether its
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
