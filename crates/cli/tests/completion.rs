//! Completion for `kubectl toolset <TAB>`, in the protocol of kubectl.

#![allow(clippy::expect_used, reason = "a failed `expect` fails the test")]

mod support;

use support::{
    Run,
    cluster::{Cluster, config, service},
    program, run,
};

#[test]
fn commands_and_flags_need_no_cluster() {
    let commands = run(&["__complete", "e"]);
    assert_eq!(commands.code, 0);
    let lines: Vec<&str> = commands.stdout.lines().collect();
    assert!(lines[0].starts_with("explain\tExplain why"), "{lines:?}");
    assert_eq!(lines[1..], [":4"]);
    assert_eq!(run(&["__complete", "render", "-o", "holm"]).stdout, "holmesgpt\tThe file that HolmesGPT loads\n:4\n");
    assert_eq!(run(&["__complete", "render", "-f", ""]).stdout, ":0\n", "the shell completes files");
}

#[test]
fn names_come_from_the_cluster() {
    let server = Cluster::new([
        service("monitoring", "grafana", "grafana", 3000),
        service("monitoring", "loki", "loki", 3100),
        service("shop", "cart", "cart", 80),
        config("holmes", "default", "monitoring"),
    ])
    .start();
    let complete = |words: &[&str]| server.run(&[&["__complete"], words].concat()).stdout;
    assert_eq!(complete(&["explain", "-n", "monitoring", ""]), "grafana\nloki\n:4\n");
    assert_eq!(complete(&["explain", "--namespace=monitoring", "g"]), "grafana\n:4\n");
    assert_eq!(complete(&["explain", "shop/"]), "shop/cart\n:4\n");
    assert_eq!(complete(&["render", "--live", "--config", ""]), "holmes/default\n:4\n");
    assert_eq!(complete(&["status", "-n", "holmes", ""]), "default\n:4\n");
    assert_eq!(complete(&["explain", "--context", ""]), "c\n:4\n");
}

#[test]
fn a_failure_is_silent() {
    for words in [&["explain", ""][..], &["explain", "-n", ""], &["explain", "--context", ""], &["nothing", "--x=", ""]]
    {
        let run = run(&[&["__complete"], words].concat());
        assert_eq!((run.code, run.stdout.as_str(), run.stderr.as_str()), (0, ":4\n", ""), "{words:?}");
    }
}

#[cfg(unix)]
#[test]
fn a_link_with_the_name_that_kubectl_looks_for_completes() {
    let folder = tempfile::tempdir().expect("a folder");
    let link = folder.path().join("kubectl_complete-toolset");
    std::os::unix::fs::symlink(program().get_program(), &link).expect("the folder is writable");
    let run = Run::of(std::process::Command::new(&link).arg("versio"));
    assert!(run.stdout.starts_with("version\t"), "{}", run.stdout);
    let script = support::run(&["completions", "kubectl"]);
    assert_eq!(script.stdout, "#!/bin/sh\nexec kubectl-toolset __complete \"$@\"\n");
}
