//! `ui`: a page in the browser that shows what was found and why. It serves only this computer, with the permissions of
//! the user, and changes nothing.
//!
//! ```text
//! files ───► files.rs ───┐
//!                        ├──► state.rs ──► review.rs ──► pages/ ──► server.rs ──► browser
//! cluster ─► watch.rs ───┘    objects      the plan      HTML       session.rs, guard.rs
//! ```

mod address;
mod command_line;
mod escape;
mod files;
mod filter;
mod guard;
mod pages;
mod redirect_file;
mod review;
mod server;
mod session;
mod state;

use std::{
    io::{self, Write as _},
    net::Ipv4Addr,
};

use tokio::{net::TcpListener, signal};

use self::{
    command_line::Origin,
    redirect_file::RedirectFile,
    server::Server,
    session::Session,
    state::{Known, State},
};
use crate::{args::Ui, failure::Failure, input, outcome::Outcome, text::Text};

/// Serves the page until the user ends it.
pub(crate) fn run(args: &Ui) -> Result<Outcome, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::input(format!("error: cannot start the async runtime: {error}")))?;
    let result = runtime.block_on(serve(args));
    // A computation that still runs does not delay the end.
    runtime.shutdown_background();
    result.map(|()| Outcome::exact(String::new()))
}

async fn serve(args: &Ui) -> Result<(), Failure> {
    let known = Known::new(input::snapshot(args.named())?, true);
    let origin = Origin::Files {
        files: args.files.iter().map(|file| file.display().to_string()).collect(),
        recursive: args.recursive,
    };
    let state = State::new(known, &args.cluster_domain);
    tokio::spawn(files::follow(state.clone(), args.files.clone(), args.recursive));

    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, args.port)).await.map_err(|error| {
        Failure::input(format!("error: cannot listen on port {} of this computer: {error}", args.port))
    })?;
    let address = listener.local_addr().map_err(|error| Failure::input(format!("error: {error}")))?;
    let (session, token) = Session::new(address.port())?;
    let url = format!("http://{address}/");
    let one_time = format!("{url}open?token={token}");
    let redirect = if args.no_browser { None } else { open_browser(&one_time) };
    announce(&url, redirect.is_none().then_some(&one_time));

    let server = Server::new(state, origin, session, address.port(), redirect)?;
    tokio::select! {
        result = axum::serve(listener, server.router()) => {
            result.map_err(|error| Failure::input(format!("error: the server ended: {error}")))
        }
        _ = signal::ctrl_c() => Ok(()),
    }
}

/// Opens the browser. `None` if that is not possible, and then the user opens the address.
fn open_browser(one_time: &str) -> Option<RedirectFile> {
    let name = session::random().ok()?;
    let file = RedirectFile::create(one_time, name.get(..16).unwrap_or(&name)).ok()?;
    open::that_detached(file.path()).ok()?;
    Some(file)
}

/// Says where the page is. If nobody reads this, the page works all the same.
fn announce(url: &str, one_time: Option<&String>) {
    let lines = match one_time {
        Some(one_time) => {
            format!("Open this address in a browser on this computer. It works once.\n\n  {one_time}\n")
        }
        None => format!(
            "The page is open in your browser at {url}\nIf you do not see it, end this with Ctrl-C and use --no-browser."
        ),
    };
    let mut out = io::stdout().lock();
    for line in lines.lines().chain(["Ctrl-C ends it."]) {
        _ = writeln!(out, "{}", Text::from(line).as_str());
    }
    _ = out.flush();
}
