//! The levels of a log, as a flag has them.

const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

/// Checks levels such as `info,kube=debug`. Tracing's own parser takes any word for the name of a module, so a misspelt
/// level would switch the log off.
pub fn levels(text: &str) -> Result<String, String> {
    let mut general = 0;
    for directive in text.split(',') {
        let fine = match directive.split_once('=') {
            None => {
                general += 1;
                is_level(directive)
            }
            Some((module, level)) => is_module(module) && is_level(level),
        };
        if !fine {
            let levels = LEVELS.join(", ");
            return Err(format!(
                "{directive:?} is not a log level; use one of {levels}, or module=level, separated by commas"
            ));
        }
    }
    if general > 1 {
        return Err("only one level can apply to all modules; write the others as module=level".to_owned());
    }
    Ok(text.to_owned())
}

fn is_level(word: &str) -> bool {
    LEVELS.iter().any(|level| level.eq_ignore_ascii_case(word))
}

fn is_module(word: &str) -> bool {
    !word.is_empty() && word.chars().all(|c| c.is_ascii_alphanumeric() || "_-:".contains(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_level_is_answered_with_the_levels() {
        assert!(levels("info").is_ok() && levels("warn,datastorage::api=debug").is_ok());
        assert!(levels("inof").unwrap_err().contains("off, error, warn, info, debug, trace"));
        for bad in ["", "info,", "info,debug", "a b=info", "kube=loud", "=info"] {
            assert!(levels(bad).is_err(), "{bad}");
        }
    }
}
