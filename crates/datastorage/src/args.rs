//! The flags and their environment variables. A flag takes precedence over its variable.

mod database;
mod serve;
mod values;

use std::time::Duration;

use clap::{Args as _, CommandFactory as _, FromArgMatches as _, Parser, Subcommand, ValueEnum, parser::ValueSource};
use logging::Format;

pub use self::{
    database::Database,
    serve::{AuthMode, EmbeddingMode, Serve},
    values::duration,
};
use crate::store::Vectors;

/// The model unless a flag names another one.
const DEFAULT_MODEL: &str = "all-MiniLM-L6-v2";

/// Data Storage keeps audit records in PostgreSQL and finds them by key, by time, by words and by meaning.
///
/// Without a subcommand, it serves the HTTP API.
#[derive(Clone, Debug, Parser)]
#[command(name = "datastorage", version, max_term_width = 120)]
#[command(disable_help_subcommand = true, subcommand_negates_reqs = true)]
pub struct Args {
    /// What to do [default: serve]
    #[command(subcommand)]
    pub command: Option<Command>,

    /// How to reach the database.
    #[command(flatten)]
    pub database: Database,

    /// The log.
    #[command(flatten)]
    pub log: Log,

    /// The flags of `serve`, for calls without a subcommand.
    #[command(flatten)]
    pub serve: Serve,
}

/// A subcommand.
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Serve the HTTP API
    Serve(Box<Serve>),
    /// Create or upgrade the tables
    Migrate(Migrate),
    /// Check that no record was changed, removed or moved
    Verify(Verify),
    /// Queue every text that has no vector yet for the embedding provider
    Embed(Embed),
    /// Connect to the database and print its state
    Check(Check),
    /// Remove the records of a month that is older than the retention floor
    DropMonth(DropMonth),
    /// Print the OpenAPI document of the HTTP API
    Openapi,
}

/// The log.
#[derive(Clone, Debug, clap::Args)]
pub struct Log {
    /// The log level (off, error, warn, info, debug or trace), optionally followed by levels for individual modules, for
    /// example info,datastorage=debug
    #[arg(
        long,
        global = true,
        env = "DATASTORAGE_LOG_LEVEL",
        value_name = "LEVEL",
        default_value = "info",
        value_parser = logging::levels
    )]
    pub log_level: String,

    /// The format of log lines
    #[arg(
        long,
        global = true,
        env = "DATASTORAGE_LOG_FORMAT",
        value_name = "FORMAT",
        value_enum,
        default_value_t = Format::Json
    )]
    pub log_format: Format,
}

/// The format of what a subcommand prints.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// Text for people.
    Text,
    /// One JSON object.
    Json,
}

/// Flags of `migrate`.
#[derive(Clone, Debug, clap::Args)]
pub struct Migrate {
    /// The role of the service in PostgreSQL. The migration grants it the permissions that the service needs. The role can add
    /// records, and cannot change or remove them
    #[arg(long, env = "DATASTORAGE_SERVICE_ROLE", value_name = "ROLE")]
    pub service_role: Option<String>,

    /// Whether to create the tables for vectors, which need the extension pgvector
    #[arg(long, env = "DATASTORAGE_VECTOR", value_enum, value_name = "MODE", default_value_t = Vectors::Preferred)]
    pub vector: Vectors,

    /// The maximum age of records that clients can import. The service creates no partitions for older months
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
}

/// Flags of `verify`.
#[derive(Clone, Debug, clap::Args)]
pub struct Verify {
    /// The number (seq) of the first record to check
    #[arg(long, value_name = "SEQ", default_value_t = 1, value_parser = clap::value_parser!(i64).range(1..))]
    pub from_seq: i64,

    /// The number (seq) of the last record to check [default: the newest record]
    #[arg(long, value_name = "SEQ", value_parser = clap::value_parser!(i64).range(1..))]
    pub to_seq: Option<i64>,

    /// An earlier checkpoint of the service, as JSON or as the path of a file that contains it. If the records do not lead to
    /// it, somebody changed records or removed the newest ones
    #[arg(long, value_name = "JSON|FILE")]
    pub checkpoint: Option<String>,

    /// A key of the chain, as <id>:<path>. For several keys, use commas or repeat the flag
    #[arg(
        long = "chain-key-file",
        env = "DATASTORAGE_CHAIN_KEY_FILE",
        value_name = "ID:PATH",
        value_delimiter = ',',
        value_parser = values::chain_key
    )]
    pub chain_key_files: Vec<String>,

    /// The format of the result
    #[arg(long, short, value_enum, value_name = "FORMAT", default_value_t = Output::Text)]
    pub output: Output,
}

/// Flags of `check`.
#[derive(Clone, Debug, clap::Args)]
pub struct Check {
    /// The format of the result
    #[arg(long, short, value_enum, value_name = "FORMAT", default_value_t = Output::Text)]
    pub output: Output,
}

/// Flags of `embed`.
#[derive(Clone, Debug, clap::Args)]
pub struct Embed {
    /// First remove all vectors, and prepare the table for the vectors of another model. Only the owner of the schema can do
    /// this. Until the new vectors are made, search uses only words
    #[arg(long)]
    pub reset: bool,

    /// The name of the model at the provider. Used with --reset
    #[arg(long, env = "DATASTORAGE_EMBEDDING_MODEL", value_name = "NAME", default_value = DEFAULT_MODEL)]
    pub embedding_model: String,

    /// The number of dimensions of the model's vectors. Used with --reset
    #[arg(
        long,
        env = "DATASTORAGE_EMBEDDING_DIMENSIONS",
        value_name = "NUMBER",
        default_value_t = 384,
        value_parser = clap::value_parser!(u16).range(1..=4000)
    )]
    pub embedding_dimensions: u16,
}

/// Flags of `drop-month`.
#[derive(Clone, Debug, clap::Args)]
pub struct DropMonth {
    /// The month in UTC, for example 2026-01
    #[arg(value_name = "MONTH")]
    pub month: String,

    /// A key of the chain, as <id>:<path>. For several keys, use commas or repeat the flag. The key with the highest id signs
    /// the record about the dropped month
    #[arg(
        long = "chain-key-file",
        env = "DATASTORAGE_CHAIN_KEY_FILE",
        value_name = "ID:PATH",
        value_delimiter = ',',
        value_parser = values::chain_key
    )]
    pub chain_key_files: Vec<String>,
}

impl Args {
    /// Reads the command line.
    ///
    /// Fails if it has an unknown flag or a bad value, or if a flag of `serve` stands before a subcommand, where it would have
    /// no effect.
    pub fn read<I, T>(line: I) -> Result<Self, clap::Error>
    where
        I: IntoIterator<Item = T>,
        T: Into<std::ffi::OsString> + Clone,
    {
        // The last of several equal flags counts, so that a script can append one.
        let overriding = |command: clap::Command| command.args_override_self(true);
        let mut command = overriding(Self::command()).mut_subcommands(overriding);
        let matches = command.try_get_matches_from_mut(line)?;
        if let Some(subcommand) = matches.subcommand_name() {
            let ids = Serve::augment_args(clap::Command::new("serve"));
            let given = ids
                .get_arguments()
                .find(|argument| matches.value_source(argument.get_id().as_str()) == Some(ValueSource::CommandLine));
            if let Some(flag) = given.and_then(clap::Arg::get_long) {
                let message = if subcommand == "serve" {
                    format!("--{flag} stands before the subcommand; write it after serve")
                } else {
                    format!("--{flag} is a flag of serve, and {subcommand} does not use it; remove it")
                };
                return Err(command.error(clap::error::ErrorKind::ArgumentConflict, message));
            }
        }
        Self::from_arg_matches(&matches).map_err(|error| error.format(&mut command))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<Args, clap::Error> {
        Args::read(line.split_whitespace())
    }

    #[test]
    fn the_flags_are_well_formed() {
        Args::command().debug_assert();
    }

    #[test]
    fn every_flag_has_its_environment_variable() {
        let command = Args::command();
        for argument in command.get_arguments().filter(|argument| argument.get_env().is_some()) {
            let name = argument.get_long().unwrap().to_uppercase().replace('-', "_");
            assert_eq!(argument.get_env().unwrap().to_str(), Some(format!("DATASTORAGE_{name}").as_str()));
        }
        let without = command.get_arguments().filter(|argument| argument.get_env().is_none());
        let without: Vec<_> = without.map(clap::Arg::get_id).collect();
        assert_eq!(without, Vec::<&clap::Id>::new());
    }

    #[test]
    fn serve_is_what_happens_without_a_subcommand() {
        let plain = read("datastorage --listen :1 --cluster a").unwrap();
        assert!(plain.command.is_none());
        assert_eq!((plain.serve.listen.port(), plain.serve.cluster.as_str()), (1, "a"));
        let named = read("datastorage serve --listen :1").unwrap();
        let Some(Command::Serve(serve)) = named.command else { panic!("{named:?}") };
        assert_eq!(serve.listen.port(), 1);
    }

    #[test]
    fn the_last_of_several_equal_flags_counts() {
        assert_eq!(read("datastorage --schema a --schema b").unwrap().database.schema, "b");
        let args =
            read("datastorage serve --cluster a --cluster b --chain-key-file 1:/a --chain-key-file 2:/b").unwrap();
        let Some(Command::Serve(serve)) = args.command else { panic!("{:?}", args.command) };
        assert_eq!((serve.cluster.as_str(), serve.chain_key_files.len()), ("b", 2));
    }

    #[test]
    fn flags_of_the_database_can_stand_before_and_after_the_subcommand() {
        for line in ["datastorage --schema s verify", "datastorage verify --schema s"] {
            assert_eq!(read(line).unwrap().database.schema, "s", "{line}");
        }
    }

    #[test]
    fn a_flag_of_serve_that_would_have_no_effect_is_refused() {
        let error = read("datastorage --listen :1 migrate").unwrap_err().to_string();
        assert!(error.contains("--listen is a flag of serve, and migrate does not use it"), "{error}");
        let error = read("datastorage --listen :1 serve").unwrap_err().to_string();
        assert!(error.contains("write it after serve"), "{error}");
    }
}
