//! Who may read the pages: the browser that opened the one-time address.
//!
//! ```text
//! token, once ──► cookie ──► every page, until it has not been used for an hour
//! ```
//!
//! A browser sends a cookie to every port of a host. So all pages are below a random path, and the cookie is for this path
//! only: a program on another port does not know the path, and gets no cookie.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use ring::rand::{SecureRandom as _, SystemRandom};
use toolset::digest::of_parts;

use crate::failure::Failure;

/// How long a session lasts without a request. An open page asks all the time, in the background every ten minutes.
const IDLE: Duration = Duration::from_secs(60 * 60);
/// The length of a token and of a cookie in bytes.
const LENGTH: usize = 32;
/// The length of the random path in characters.
const BASE_LENGTH: usize = 32;

/// Only digests are kept, so that the time of a comparison says nothing about a secret.
type Secret = String;

/// The one session of this process.
#[derive(Debug)]
pub(super) struct Session {
    port: u16,
    /// The path of all pages, without a slash at the end.
    base: String,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// The token that opens the session. `None` after its first use.
    token: Option<Secret>,
    /// The cookie, and when it was last used.
    cookie: Option<(Secret, Instant)>,
}

impl Session {
    /// A session that nobody has opened yet, and the token that opens it.
    pub(super) fn new(port: u16) -> Result<(Self, String), Failure> {
        let token = random()?;
        let base = format!("/{}", random()?.get(..BASE_LENGTH).unwrap_or_default());
        let state = Mutex::new(State { token: Some(digest(&token)), cookie: None });
        Ok((Self { port, base, state }, token))
    }

    /// The path of all pages, without a slash at the end.
    pub(super) fn base(&self) -> &str {
        &self.base
    }

    /// Opens the session with the token. Returns the header that sets the cookie. A token works once.
    pub(super) fn open(&self, token: &str, now: Instant) -> Option<String> {
        let cookie = random().ok()?;
        let mut state = self.state();
        if state.token != Some(digest(token)) {
            return None;
        }
        state.token = None;
        state.cookie = Some((digest(&cookie), now));
        Some(format!("{}={cookie}; HttpOnly; SameSite=Strict; Path={}/", self.cookie_name(), self.base))
    }

    /// Whether a request with these cookies belongs to the session. If so, the session lasts longer.
    pub(super) fn admits(&self, cookies: &str, now: Instant) -> bool {
        let name = self.cookie_name();
        let values = cookies.split(';').filter_map(|cookie| cookie.trim().split_once('='));
        // Another program on this host can set cookies of the same name, for longer paths.
        let mut values = values.filter(|(key, _)| *key == name).map(|(_, value)| digest(value));
        let mut state = self.state();
        match &mut state.cookie {
            Some((cookie, used))
                if now.saturating_duration_since(*used) < IDLE && values.any(|value| value == *cookie) =>
            {
                *used = now;
                true
            }
            _ => false,
        }
    }

    /// Cookies do not know ports. With the port in the name, two of these programs do not end each other's sessions.
    fn cookie_name(&self) -> String {
        format!("toolset-ui-{}", self.port)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Random bytes as text that a URL and a cookie can hold.
pub(super) fn random() -> Result<String, Failure> {
    let mut bytes = [0_u8; LENGTH];
    SystemRandom::new()
        .fill(&mut bytes)
        .map_err(|_| Failure::input("error: the system has no random numbers for the address of the page"))?;
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    Ok(digits.filter_map(|digit| char::from_digit(digit.into(), 16)).collect())
}

fn digest(secret: &str) -> Secret {
    of_parts([secret])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opened(now: Instant) -> (Session, String, String) {
        let (session, token) = Session::new(8001).unwrap();
        let header = session.open(&token, now).unwrap();
        let cookie = header.split(';').next().unwrap().to_owned();
        (session, token, cookie)
    }

    #[test]
    fn a_token_works_once() {
        let now = Instant::now();
        let (session, token, cookie) = opened(now);
        assert_eq!(session.open(&token, now), None);
        assert!(session.admits(&cookie, now), "the first browser keeps its session");
    }

    #[test]
    fn a_wrong_token_opens_nothing_and_leaves_the_right_one_valid() {
        let now = Instant::now();
        let (session, token) = Session::new(8001).unwrap();
        assert_eq!(session.open("", now), None);
        assert_eq!(session.open(&"0".repeat(64), now), None);
        assert!(session.open(&token, now).is_some());
    }

    #[test]
    fn a_script_cannot_read_the_cookie_and_another_site_cannot_send_it() {
        let (session, token) = Session::new(8001).unwrap();
        let header = session.open(&token, Instant::now()).unwrap();
        assert!(header.starts_with("toolset-ui-8001="), "{header}");
        assert!(header.contains("; HttpOnly; SameSite=Strict; Path=/"), "{header}");
        assert!(header.ends_with(&format!("Path={}/", session.base())), "{header}");
        assert_eq!(session.base().len(), 1 + BASE_LENGTH, "a program on another port cannot guess the path");
        assert!(!header.contains(&token), "the cookie is not the token");
    }

    #[test]
    fn a_session_ends_an_hour_after_its_last_use() {
        let start = Instant::now();
        let (session, _, cookie) = opened(start);
        let minutes = |number: u64| start + Duration::from_secs(60 * number);
        assert!(session.admits(&cookie, minutes(59)));
        assert!(session.admits(&cookie, minutes(118)), "the request at minute 59 counts");
        assert!(!session.admits(&cookie, minutes(178)));
    }

    #[test]
    fn other_cookies_admit_nobody() {
        let now = Instant::now();
        let (session, token, cookie) = opened(now);
        assert!(session.admits(&format!("theme=dark; {cookie}; lang=en"), now));
        assert!(session.admits(&format!("toolset-ui-8001=of-another-program; {cookie}"), now));
        for other in ["", "toolset-ui-8001", "toolset-ui-8001=", &format!("toolset-ui-8001={token}"), "a=b"] {
            assert!(!session.admits(other, now), "{other}");
        }
        let value = cookie.split_once('=').unwrap().1;
        assert!(!session.admits(&format!("toolset-ui-8002={value}"), now));
    }
}
