//! Wrong flags, as a pod's log shows them.

#![allow(clippy::expect_used, reason = "a failed `expect` in a helper function fails the test")]

use std::process::Command;

/// The exit code and standard error of the program with these arguments and environment variables.
fn run(arguments: &[&str], environment: &[(&str, &str)]) -> (Option<i32>, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_toolset-controller"))
        .args(arguments)
        .env("KUBECONFIG", "/nonexistent")
        .envs(environment.iter().copied())
        .output()
        .expect("the program starts");
    assert_eq!(output.stdout, b"");
    (output.status.code(), String::from_utf8(output.stderr).expect("UTF-8"))
}

#[test]
fn a_wrong_value_is_refused_in_one_line_whether_it_is_a_flag_or_a_variable() {
    for (flag, variable, value) in [
        ("--log-level", "TOOLSET_LOG_LEVEL", "nonsense"),
        ("--log-level", "TOOLSET_LOG_LEVEL", "info,kube"),
        ("--log-format", "TOOLSET_LOG_FORMAT", "xml"),
        ("--lease-name", "TOOLSET_LEASE_NAME", "A_B"),
        ("--lease-namespace", "TOOLSET_LEASE_NAMESPACE", "a.b"),
        ("--cluster-domain", "TOOLSET_CLUSTER_DOMAIN", "evil{{"),
        ("--cluster-domain", "TOOLSET_CLUSTER_DOMAIN", "a..b"),
        ("--cluster-domain", "TOOLSET_CLUSTER_DOMAIN", "a\u{1b}[31m\nb"),
        ("--watch-namespaces", "TOOLSET_WATCH_NAMESPACES", "a,"),
        ("--config-namespaces", "TOOLSET_CONFIG_NAMESPACES", "A"),
        ("--health-addr", "TOOLSET_HEALTH_ADDR", "8080"),
        ("--shutdown-timeout", "TOOLSET_SHUTDOWN_TIMEOUT", "soon"),
        ("--leader-elect", "TOOLSET_LEADER_ELECT", "perhaps"),
    ] {
        for (code, said) in [run(&[&format!("{flag}={value}")], &[]), run(&[], &[(variable, value)])] {
            assert_eq!(code, Some(2), "{flag}={value}: {said}");
            assert_eq!(said.lines().count(), 1, "{said}");
            assert!(said.starts_with("toolset-controller: ") && said.contains(flag), "{said}");
            assert!(!said.trim_end_matches('\n').contains(char::is_control), "{said:?}");
        }
    }
}

#[test]
fn an_empty_value_is_refused() {
    for flag in ["--log-level", "--lease-name", "--lease-namespace", "--cluster-domain", "--watch-namespaces"] {
        let (code, said) = run(&[&format!("{flag}=")], &[]);
        assert_eq!((code, said.lines().count()), (Some(2), 1), "{said}");
    }
}

#[test]
fn an_unknown_flag_is_refused_in_one_line() {
    let (code, said) = run(&["--log-levle=info"], &[]);
    assert_eq!((code, said.lines().count()), (Some(2), 1), "{said}");
    assert!(said.contains("--log-levle"), "{said}");
}

#[test]
fn other_errors_are_one_line_too() {
    let (code, said) = run(&["--log-level=info,controller=debug"], &[]);
    assert_eq!(code, Some(1), "{said}");
    let last = said.lines().last().unwrap_or_default();
    assert!(last.starts_with("toolset-controller: ") && last.contains("/nonexistent"), "{said}");
}
