//! Whatever a Pod answers: no panic, no verdict without a proof, no path that is not plain, at most six requests.

use std::borrow::Cow;

use detectors::{
    Assumed, Product, Scheme, Target,
    probe::{Answer, Identification, Verdict, health, health_paths},
};
use proptest::prelude::*;

use crate::program::{HOST, PORT};

/// One answer, as data.
#[derive(Clone, Debug)]
enum Any {
    Response { status: u16, location: Option<String>, body: Vec<u8>, is_cut: bool },
    Failure(u8),
}

impl Any {
    fn give(&self, identification: &mut Identification) {
        match self {
            Self::Response { status, location, body, is_cut } => {
                let header = |name: &str| if name == "location" { location.as_deref() } else { None };
                let answer = Answer::Response { status: *status, header: &header, body, is_cut: *is_cut };
                let _ = health(&answer);
                identification.answered(&answer);
            }
            Self::Failure(which) => identification.answered(&match which % 6 {
                0 => Answer::Reset,
                1 => Answer::Unreadable,
                2 => Answer::NoTls,
                3 => Answer::Refused,
                4 => Answer::Unreachable,
                _ => Answer::Timeout,
            }),
        }
    }
}

fn location() -> impl Strategy<Value = String> {
    prop_oneof![
        "\\PC{0,40}",
        "[/\\\\@:#?%.a-z0-9 \\[\\]-]{0,40}",
        "(https?:)?//[a-z0-9.:@\\[\\]-]{0,30}/[a-zA-Z0-9._~/-]{0,30}",
        "/[a-zA-Z0-9._~/-]{0,200}",
        Just(format!("http://{HOST}:{PORT}/x/login")),
    ]
}

/// Bytes, and texts that are nearly an answer of a product.
fn body() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..200),
        "[{}\\[\\]\",:a-z0-9<>/ \\\\]{0,200}".prop_map(String::into_bytes),
        "(\\{\"status\":\"success\",\"data\":)?[{}\\[\\]\",:a-z0-9 ]{0,80}".prop_map(String::into_bytes),
        "<html><head><title>[A-Za-z ]{0,20}</title><base href=\"[ -~]{0,30}\">".prop_map(String::into_bytes),
        Just(Vec::new()),
    ]
}

fn answer() -> impl Strategy<Value = Any> {
    let status = prop_oneof![Just(200_u16), Just(302), Just(400), Just(401), Just(404), 0_u16..1000];
    prop_oneof![
        4 => (status, proptest::option::of(location()), body(), any::<bool>())
            .prop_map(|(status, location, body, is_cut)| Any::Response { status, location, body, is_cut }),
        1 => any::<u8>().prop_map(Any::Failure),
    ]
}

fn product() -> impl Strategy<Value = Product> {
    proptest::sample::select(Product::ALL.to_vec())
}

fn is_plain(path: &str) -> bool {
    let path = path.split('?').next().unwrap_or(path);
    path.starts_with('/')
        && path.len() <= 129 + 40
        && path.chars().all(|c| c.is_ascii_alphanumeric() || "._~/-".contains(c))
        && !path.contains("//")
        && path.split('/').all(|segment| segment != "..")
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

    #[test]
    fn random_answers_are_never_a_proof(
        product in product(),
        path in prop_oneof![Just(String::new()), "(/[a-z]{1,5}){1,3}", "\\PC{0,20}"],
        is_https in any::<bool>(),
        (scheme, path_is_open) in (any::<bool>(), any::<bool>()),
        answers in proptest::collection::vec(answer(), 0..10),
    ) {
        let target = Target {
            port: PORT,
            scheme: if is_https { Scheme::Https } else { Scheme::Http },
            path: Cow::Owned(path.clone()),
        };
        let assumed = Assumed { scheme, path: path_is_open, auth: true };
        let Some(mut identification) = Identification::of(product, &target, assumed, HOST, PORT) else {
            return Ok(());
        };
        let mut number = 0;
        for answer in &answers {
            let Some(request) = identification.request() else { break };
            number += 1;
            prop_assert!(is_plain(&request.path), "{}", request.path);
            prop_assert!(scheme || request.scheme == target.scheme);
            prop_assert!(!request.path.contains("evil"));
            answer.give(&mut identification);
        }
        let identity = identification.identity();
        prop_assert!(number <= 6);
        prop_assert_eq!(identity.asked.len(), number);
        prop_assert_eq!(identity.verdict, Verdict::Unknown);
        prop_assert_eq!(identity.path, None);
        prop_assert!(scheme || identity.scheme.is_none_or(|found| found == target.scheme));
    }

    #[test]
    fn every_path_of_health_is_absolute(product in product(), path in "(/[a-z0-9.~_-]{1,8}){0,4}/?") {
        for one in health_paths(product, &path) {
            prop_assert!(one.starts_with('/') && !one.starts_with("//"), "{one}");
        }
    }
}
