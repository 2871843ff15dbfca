//! When a token ends.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jiff::Timestamp;
use serde::Deserialize;

/// The end of life in the payload of a JWT. None if the token is none or does not end.
///
/// The signature is not checked: this is for tokens that the API server has found valid.
pub(super) fn of(token: &str) -> Option<Timestamp> {
    #[derive(Deserialize)]
    struct Payload {
        exp: Option<i64>,
    }
    let payload = URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
    let payload: Payload = serde_json::from_slice(&payload).ok()?;
    Timestamp::from_second(payload.exp?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_payload_of_a_jwt_says_when_it_ends() {
        let payload = URL_SAFE_NO_PAD.encode(r#"{"iss":"x","exp":1700000000}"#);
        assert_eq!(of(&format!("e30.{payload}.sig")), Some("2023-11-14T22:13:20Z".parse().unwrap()));
    }

    #[test]
    fn other_tokens_do_not_end() {
        for token in ["opaque", "a.b.c", "e30.e30.sig", ".."] {
            assert_eq!(of(token), None, "{token}");
        }
    }
}
