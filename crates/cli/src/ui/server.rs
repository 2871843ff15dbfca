//! What all requests share.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use axum::http::{HeaderMap, header};

use super::{
    command_line::Origin,
    redirect_file::RedirectFile,
    session::{self, Session},
    state::State,
};
use crate::failure::Failure;

/// What all requests share. A clone is the same server.
#[derive(Clone)]
pub(super) struct Server(Arc<Parts>);

struct Parts {
    state: State,
    origin: Origin,
    session: Session,
    port: u16,
    /// Part of every `ETag`, so that a browser does not take an answer of an earlier process for a current one.
    run: String,
    /// Removed after the browser has used it.
    redirect: Mutex<Option<RedirectFile>>,
}

impl Server {
    pub(super) fn new(
        state: State,
        origin: Origin,
        session: Session,
        port: u16,
        redirect: Option<RedirectFile>,
    ) -> Result<Self, Failure> {
        let run = session::random()?.chars().take(8).collect();
        Ok(Self(Arc::new(Parts { state, origin, session, port, run, redirect: Mutex::new(redirect) })))
    }

    pub(super) fn state(&self) -> &State {
        &self.0.state
    }

    pub(super) fn origin(&self) -> &Origin {
        &self.0.origin
    }

    /// The part of an `ETag` that names this process.
    pub(super) fn run_prefix(&self) -> String {
        format!("{}-", self.0.run)
    }

    /// The part of an `ETag` that names this process and the change after which a page was made.
    pub(super) fn tag(&self, version: u64) -> String {
        format!("{}-{version}-", self.0.run)
    }

    /// The path of the pages.
    pub(super) fn base(&self) -> &str {
        self.0.session.base()
    }

    /// The port that it listens on.
    pub(super) fn port(&self) -> u16 {
        self.0.port
    }

    /// Opens the session with the one-time token. Returns the cookie, and removes the file that led the browser here.
    pub(super) fn open(&self, token: &str) -> Option<String> {
        let cookie = self.0.session.open(token, Instant::now())?;
        self.0.redirect.lock().unwrap_or_else(PoisonError::into_inner).take();
        Some(cookie)
    }

    /// Whether the request is from the browser of the session.
    pub(super) fn admits(&self, headers: &HeaderMap) -> bool {
        let mut cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
        cookies.any(|cookies| self.0.session.admits(cookies, Instant::now()))
    }
}
