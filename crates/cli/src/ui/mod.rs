//! `ui`: a page in the browser that shows what was found and why. It serves only this computer, with the permissions of
//! the user, and changes nothing.
//!
//! ```text
//! files ───► files.rs ───┐
//!                        ├──► state.rs ──► review.rs ──► pages/ ──► router.rs ──► browser
//! cluster ─► watch.rs ───┘    objects      the plan      HTML       session.rs, guard.rs
//! ```

mod address;
mod command_line;
mod escape;
mod files;
mod filter;
mod guard;
mod known;
mod pages;
mod redirect_file;
mod review;
mod router;
mod server;
mod session;
mod state;
mod watch;
mod what_if;

use std::{
    collections::BTreeMap,
    io::{self, Write as _},
    net::Ipv4Addr,
    time::Duration,
};

use tokio::{net::TcpListener, signal};
use toolset::Index;

use self::{
    command_line::{From, Origin},
    known::Known,
    redirect_file::RedirectFile,
    server::Server,
    session::Session,
    state::State,
};
use crate::{
    args::{Cluster, Ui},
    failure::Failure,
    input, live,
    outcome::Outcome,
    pods::KnownPods,
    snapshot::{Snapshot, default_config},
    text::Text,
};

/// Serves the page until the user ends it.
pub(crate) fn run(cluster: &Cluster, args: &Ui) -> Result<Outcome, Failure> {
    live::block_on(serve(cluster, args))?;
    Ok(Outcome::exact(String::new()))
}

async fn serve(cluster: &Cluster, args: &Ui) -> Result<(), Failure> {
    let (state, origin) =
        if args.files.is_empty() { of_cluster(cluster, args).await? } else { of_files(cluster, args)? };
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, args.port)).await.map_err(|error| {
        Failure::input(format!("error: cannot listen on port {} of this computer: {error}", args.port))
    })?;
    let address = listener.local_addr().map_err(|error| Failure::input(format!("error: {error}")))?;
    let (session, token) = Session::new(address.port())?;
    let url = format!("http://{address}{}/", session.base());
    let one_time = format!("{url}open?token={token}");
    let redirect = if args.no_browser { None } else { open_browser(&one_time) };
    announce(&url, redirect.is_none().then_some(&one_time));

    let server = Server::new(state, origin, session, address.port(), redirect)?;
    tokio::select! {
        result = axum::serve(listener, router::router(&server)) => {
            result.map_err(|error| Failure::input(format!("error: the server stopped: {error}")))
        }
        _ = signal::ctrl_c() => Ok(()),
    }
}

/// The page for files.
fn of_files(cluster: &Cluster, args: &Ui) -> Result<(State, Origin), Failure> {
    if let Some(flag) = cluster.flag() {
        return Err(Failure::Usage(format!("error: {flag} cannot be used with -f, because files need no cluster")));
    }
    let known = Known::of_files(input::snapshot_with_workloads(args.named())?);
    let state = State::new(known, &args.cluster_domain, None);
    tokio::spawn(files::follow(state.clone(), args.files.clone(), args.recursive));
    let files = args.files.iter().map(|file| file.display().to_string()).collect();
    let from = From::Files { files, recursive: args.recursive };
    Ok((state, Origin { from, cluster_domain: args.other_cluster_domain() }))
}

/// The page for a cluster. It is there before anything is read.
async fn of_cluster(cluster: &Cluster, args: &Ui) -> Result<(State, Origin), Failure> {
    // A watch can be silent for minutes, so no request has a limit.
    let client = live::connect(&Cluster { request_timeout: Duration::ZERO, ..cluster.clone() }).await?;
    let snapshot = Snapshot {
        index: Index::default(),
        config: default_config(),
        config_given: false,
        config_maps: BTreeMap::new(),
        pods: KnownPods::default(),
        slices_known: false,
        live: true,
        default_namespace: client.default_namespace().to_owned(),
        notes: Vec::new(),
    };
    let known = Known::new(snapshot, &watch::KINDS);
    let state = State::new(known, &args.cluster_domain, Some(client.clone()));
    watch::start(&state, &client);
    let mut flags = Vec::new();
    if let Some(path) = &cluster.kubeconfig {
        flags.extend(["--kubeconfig".to_owned(), path.display().to_string()]);
    }
    if let Some(context) = &cluster.context {
        flags.extend(["--context".to_owned(), context.clone()]);
    }
    let from = From::Cluster { flags, namespace: cluster.namespace.clone() };
    Ok((state, Origin { from, cluster_domain: args.other_cluster_domain() }))
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
            "The page is open in your browser at {url}\nIf you do not see it, press Ctrl-C and run the command again with --no-browser."
        ),
    };
    let mut out = io::stdout().lock();
    for line in lines.lines().chain(["Ctrl-C ends it."]) {
        _ = writeln!(out, "{}", Text::from(line).as_str());
    }
    _ = out.flush();
}
