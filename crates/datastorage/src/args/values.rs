//! The values of flags, and the messages about bad ones.

use std::{net::SocketAddr, time::Duration};

use jiff::{Span, SpanRelativeTo};

/// An address such as `0.0.0.0:8080`, `[::]:8080`, or `:8080` for all IPv4 addresses.
pub(super) fn address(text: &str) -> Result<SocketAddr, String> {
    let full = match text.strip_prefix(':') {
        Some(port) => format!("0.0.0.0:{port}"),
        None => text.strip_prefix("localhost:").map_or_else(|| text.to_owned(), |port| format!("127.0.0.1:{port}")),
    };
    full.parse().map_err(|_| "must be an IP address and a port, for example 0.0.0.0:8080".to_owned())
}

/// A duration such as `30s`, `1500ms` or `400d`. A day has 24 hours.
pub fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || "must be a duration, for example 1500ms, 30s, 24h or 400d".to_owned();
    let span: Span = text.parse().map_err(|_| wrong())?;
    let duration = span.to_duration(SpanRelativeTo::days_are_24_hours()).map_err(|_| wrong())?;
    duration.try_into().map_err(|_| "must not be negative".to_owned())
}

/// A duration that is longer than zero.
pub(super) fn positive_duration(text: &str) -> Result<Duration, String> {
    match duration(text)? {
        Duration::ZERO => Err("must be longer than zero".to_owned()),
        duration => Ok(duration),
    }
}

/// A number of bytes such as `65536`, `512KiB` or `16MiB`.
pub(super) fn bytes(text: &str) -> Result<u64, String> {
    let units = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
    let (number, unit) =
        units.iter().find_map(|(name, unit)| Some((text.strip_suffix(name)?, *unit))).unwrap_or((text, 1_u64));
    let number = number.trim_end().parse::<u64>().ok();
    number
        .and_then(|number| number.checked_mul(unit))
        .ok_or_else(|| "must be a number of bytes, for example 65536, 512KiB or 16MiB".to_owned())
}

/// The name of a schema. It becomes a part of statements, so it has no characters that need quotes.
pub(super) fn schema(text: &str) -> Result<String, String> {
    let first = text.starts_with(|c: char| c.is_ascii_lowercase() || c == '_');
    let rest = text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    if first && rest && text.len() <= 63 && !text.starts_with("pg_") {
        Ok(text.to_owned())
    } else {
        Err("must have at most 63 lower-case letters, digits and underscores, and start with a letter, but not with pg_"
            .to_owned())
    }
}

/// The name of a cluster, as records carry it.
pub(super) fn cluster(text: &str) -> Result<String, String> {
    let fine = |c: char| c.is_ascii_alphanumeric() || "._:/@-".contains(c);
    if text.len() <= 255 && text.chars().all(fine) {
        Ok(text.to_owned())
    } else {
        Err("must have at most 255 letters, digits and characters of ._:/@-".to_owned())
    }
}

/// A key of the chain: a number from 1 to 32767, a colon, and the path of a file.
pub(super) fn chain_key(text: &str) -> Result<String, String> {
    match text.split_once(':') {
        Some((id, path)) if id.parse::<i16>().is_ok_and(|id| id > 0) && !path.is_empty() => Ok(text.to_owned()),
        _ => Err("must be <id>:<path> with an id from 1 to 32767, for example 1:/etc/datastorage/chain/1".to_owned()),
    }
}

/// A URL of a provider.
pub(super) fn http_url(text: &str) -> Result<String, String> {
    let uri: http::Uri = text.parse().map_err(|_| "must be a URL, for example http://embeddings:8080".to_owned())?;
    match (uri.scheme_str(), uri.host()) {
        (Some("http" | "https"), Some(_)) => Ok(text.trim_end_matches('/').to_owned()),
        _ => Err("must be a URL that starts with http:// or https://, for example http://embeddings:8080".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_can_be_a_port_alone() {
        assert_eq!(address(":8081").unwrap().to_string(), "0.0.0.0:8081");
        assert_eq!(address("localhost:0").unwrap().to_string(), "127.0.0.1:0");
        assert_eq!(address("[::1]:80").unwrap().to_string(), "[::1]:80");
        for bad in ["", "8080", "host:80", ":http", ":99999"] {
            assert!(address(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_duration_has_a_unit_and_a_day_has_24_hours() {
        assert_eq!(duration("1500ms"), Ok(Duration::from_millis(1500)));
        assert_eq!(duration("400d"), Ok(Duration::from_hours(9600)));
        assert_eq!(duration("1h30m"), Ok(Duration::from_mins(90)));
        assert_eq!(duration("0s"), Ok(Duration::ZERO));
        for bad in ["", "5", "soon", "-5s", "1y", "1mo"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
        assert!(positive_duration("0s").is_err());
    }

    #[test]
    fn a_number_of_bytes_can_have_a_binary_unit() {
        assert_eq!(bytes("16MiB"), Ok(16 << 20));
        assert_eq!(bytes("512 KiB"), Ok(512 << 10));
        assert_eq!(bytes("7"), Ok(7));
        for bad in ["", "MiB", "16MB", "-1", "99999999999GiB"] {
            assert!(bytes(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_name_of_a_schema_never_needs_quotes() {
        assert!(schema("datastorage").is_ok() && schema("_a1").is_ok());
        for bad in ["", "Data", "a-b", "a\"b", "1a", "pg_catalog", &"a".repeat(64)] {
            assert!(schema(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_key_of_the_chain_has_a_number_and_a_path() {
        assert!(chain_key("1:/keys/1").is_ok());
        for bad in ["/keys/1", "0:/keys/1", "1:", "a:/b", "99999:/b"] {
            assert!(chain_key(bad).is_err(), "{bad}");
        }
    }
}
