//! Times as RFC 3339 writes them.

use jiff::Timestamp;

/// Reads a time such as `2026-01-31T12:00:00.5Z` or `2026-01-31T13:00:00+01:00`. Other forms, which only some programs
/// understand, are none.
pub fn rfc3339(text: &str) -> Option<Timestamp> {
    let (date_and_time, rest) = text.split_at_checked("2026-01-31T12:00:00".len())?;
    let rest = match rest.strip_prefix('.') {
        None => rest,
        Some(fraction) => {
            let end = fraction.find(|c: char| !c.is_ascii_digit())?;
            (end > 0).then(|| &fraction[end..])?
        }
    };
    let is_time = fits(date_and_time, "0000-00-00T00:00:00") || fits(date_and_time, "0000-00-00t00:00:00");
    let is_offset = matches!(rest, "Z" | "z") || fits(rest, "+00:00") || fits(rest, "-00:00");
    if is_time && is_offset { text.parse().ok() } else { None }
}

/// Whether a text has this form, where `0` is any digit.
fn fits(text: &str, form: &str) -> bool {
    text.len() == form.len()
        && text
            .bytes()
            .zip(form.bytes())
            .all(|(byte, form)| if form == b'0' { byte.is_ascii_digit() } else { byte == form })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_forms_of_rfc_3339_are_times() {
        for good in [
            "2026-11-25T22:25:42Z",
            "2026-11-25t22:25:42z",
            "2026-11-25T22:25:42.888123Z",
            "2026-11-25T23:25:42.8+01:00",
            "2026-11-25T22:25:42-00:30",
        ] {
            assert!(rfc3339(good).is_some(), "{good}");
        }
        for bad in [
            "",
            "2026-11-25",
            "2026-11-25T22Z",
            "2026-11-25T22:25Z",
            "20261125T222542Z",
            "2026-11-25T22:25:42",
            "2026-11-25T22:25:42.Z",
            "2026-11-25T22:25:42,5Z",
            "2026-11-25 22:25:42Z",
            "2026-11-25T22:25:42+01",
            "2026-11-25T22:25:42Z[UTC]",
            "2026-11-25T22:25:42+01:00[Europe/Berlin]",
            "2026-13-25T22:25:42Z",
            "+002026-11-25T22:25:42Z",
            "2026-11-25T22:25:4\u{e4}Z",
        ] {
            assert!(rfc3339(bad).is_none(), "{bad}");
        }
    }
}
