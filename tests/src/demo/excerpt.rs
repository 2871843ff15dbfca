//! Pieces of the agent's file, which is too long for a screen.

/// The names of its entries, in order.
pub(super) fn entries(file: &str) -> Vec<&str> {
    blocks(file).into_iter().map(|(name, _)| name).collect()
}

/// Some entries in full, with `…` for those that are left out.
pub(super) fn of(file: &str, wanted: &[&str]) -> String {
    let head = file.lines().take_while(|line| !line.starts_with(' '));
    let mut lines: Vec<&str> = head.collect();
    let mut skipped = false;
    for (name, block) in blocks(file) {
        if wanted.contains(&name) {
            lines.extend(block);
            skipped = false;
        } else if !skipped {
            lines.push("  …");
            skipped = true;
        }
    }
    lines.join("\n")
}

/// The lines of the entry that names a Service, at most the first eight.
pub(super) fn naming(file: &str, service: &str) -> String {
    let found = blocks(file).into_iter().find(|(_, block)| block.iter().any(|line| line.contains(service)));
    let lines = found.map_or_else(Vec::new, |(_, block)| block);
    let mut text = lines.iter().take(8).map(|line| line.get(2..).unwrap_or(line)).collect::<Vec<_>>().join("\n");
    if lines.len() > 8 {
        text.push_str("\n  …");
    }
    text
}

/// The entries: what is indented by two blanks begins one.
fn blocks(file: &str) -> Vec<(&str, Vec<&str>)> {
    let mut blocks: Vec<(&str, Vec<&str>)> = Vec::new();
    for line in file.lines() {
        if let Some(name) = line.strip_prefix("  ").filter(|rest| !rest.starts_with(' ')) {
            blocks.push((name.trim_end_matches(':'), vec![line]));
        } else if let Some((_, block)) = blocks.last_mut()
            && line.starts_with(' ')
        {
            block.push(line);
        }
    }
    blocks
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "# Written by\ntoolsets:\n  a/b:\n    enabled: true\n  c:\n    enabled: true\n    config:\n      \
                        url: http://grafana.x\n  d:\n    enabled: true\n";

    #[test]
    fn entries_are_listed_in_order() {
        assert_eq!(entries(FILE), ["a/b", "c", "d"]);
    }

    #[test]
    fn an_excerpt_shows_the_wanted_entries_and_says_where_others_are() {
        assert_eq!(of(FILE, &["a/b"]), "# Written by\ntoolsets:\n  a/b:\n    enabled: true\n  …");
    }

    #[test]
    fn the_entry_of_a_service_is_found() {
        assert_eq!(naming(FILE, "grafana"), "c:\n  enabled: true\n  config:\n    url: http://grafana.x");
    }
}
