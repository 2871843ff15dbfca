//! A proxy between the service and PostgreSQL that breaks connections.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use anyhow::{Context as _, Result};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::watch,
    task::JoinHandle,
};

use super::wire::{Commits, Messages, is_committed, is_row};

/// What the network does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Network {
    /// It works.
    Works,
    /// Every message of a client waits for so long.
    Slow(Duration),
    /// Nothing arrives, in neither direction, and nothing is closed, as when a cable is pulled.
    Silent,
    /// New connections are closed at once.
    Refuses,
}

/// What happens to the next commits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Commit {
    /// They arrive.
    Arrives,
    /// The connection is cut before PostgreSQL gets them: nothing is committed.
    CutBefore,
    /// The connection is cut before the client gets the answer: everything is committed, and the client cannot know.
    CutAfter,
    /// They are held, with all locks of their transactions.
    Held,
}

/// A proxy in front of a PostgreSQL server. Dropping it closes all connections.
#[derive(Debug)]
pub struct DatabaseProxy {
    port: u16,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

#[derive(Debug)]
struct Shared {
    target: u16,
    network: watch::Sender<Network>,
    commit: watch::Sender<Commit>,
    /// Changes when all connections must be closed.
    epoch: watch::Sender<usize>,
    /// How many commits were cut or held.
    struck: watch::Sender<usize>,
    attempts: AtomicUsize,
    connections: AtomicUsize,
    /// What stands in rows, and what the client reads instead. Both have the same length.
    rewritten: Mutex<Option<(String, String)>>,
}

impl DatabaseProxy {
    /// Starts it in front of a port of 127.0.0.1.
    pub async fn start(target: u16) -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.context("cannot listen on 127.0.0.1")?;
        let port = listener.local_addr()?.port();
        let shared = Arc::new(Shared {
            target,
            network: watch::Sender::new(Network::Works),
            commit: watch::Sender::new(Commit::Arrives),
            epoch: watch::Sender::new(0),
            struck: watch::Sender::new(0),
            attempts: AtomicUsize::new(0),
            connections: AtomicUsize::new(0),
            rewritten: Mutex::default(),
        });
        let task = tokio::spawn(accept(listener, shared.clone()));
        Ok(Self { port, shared, task })
    }

    /// Its port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Changes what the network does, also for the connections that are there.
    pub fn set(&self, network: Network) {
        self.shared.network.send_replace(network);
    }

    /// Changes what happens to the commits from now on.
    pub fn set_commit(&self, commit: Commit) {
        self.shared.commit.send_replace(commit);
    }

    /// From now on, clients read `instead` in rows where the server has sent `text`. Both must have the same length.
    pub fn rewrite(&self, text: &str, instead: &str) {
        let pair = (text.to_owned(), instead.to_owned());
        *self.shared.rewritten.lock().unwrap_or_else(PoisonError::into_inner) = Some(pair);
    }

    /// Closes all connections.
    pub fn cut(&self) {
        self.shared.epoch.send_modify(|epoch| *epoch += 1);
    }

    /// How many commits were cut or held so far.
    pub fn struck(&self) -> usize {
        *self.shared.struck.borrow()
    }

    /// Waits until so many commits were cut or held.
    pub async fn wait_struck(&self, count: usize) -> Result<()> {
        let mut struck = self.shared.struck.subscribe();
        let reached = tokio::time::timeout(crate::harness::DEADLINE, struck.wait_for(|struck| *struck >= count)).await;
        reached.with_context(|| format!("only {} commits came", self.struck()))??;
        Ok(())
    }

    /// How many connections were made or refused so far.
    pub fn attempts(&self) -> usize {
        self.shared.attempts.load(Ordering::Relaxed)
    }

    /// How many connections were made so far.
    pub fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::Relaxed)
    }
}

impl Drop for DatabaseProxy {
    fn drop(&mut self) {
        self.task.abort();
        self.cut();
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    while let Ok((client, _)) = listener.accept().await {
        shared.attempts.fetch_add(1, Ordering::Relaxed);
        if *shared.network.borrow() == Network::Refuses {
            continue;
        }
        shared.connections.fetch_add(1, Ordering::Relaxed);
        let shared = shared.clone();
        tokio::spawn(async move {
            let mut epoch = shared.epoch.subscribe();
            epoch.mark_unchanged();
            tokio::select! {
                // Whatever ends a connection, both sides see that it is closed.
                _ = forward(client, &shared) => {}
                _ = epoch.changed() => {}
            }
        });
    }
}

async fn forward(client: TcpStream, shared: &Shared) -> Result<()> {
    client.set_nodelay(true)?;
    wait_while_silent(shared).await?;
    let server = TcpStream::connect(("127.0.0.1", shared.target)).await?;
    server.set_nodelay(true)?;
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let cut_answer = AtomicBool::new(false);
    // The first direction that ends also ends the other.
    tokio::select! {
        ended = requests(from_client, to_server, shared, &cut_answer) => ended,
        ended = answers(from_server, to_client, shared, &cut_answer) => ended,
    }
}

async fn requests(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    shared: &Shared,
    cut_answer: &AtomicBool,
) -> Result<()> {
    let (mut messages, mut commits) = (Messages::of_a_client(), Commits::default());
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let count = from.read(&mut buffer).await?;
        if count == 0 {
            return Ok(());
        }
        messages.push(&buffer[..count]);
        let mut together = Vec::new();
        while let Some(message) = messages.next() {
            if commits.runs(&message) {
                let commit = *shared.commit.borrow();
                match commit {
                    Commit::Arrives => {}
                    Commit::CutBefore => {
                        shared.strike();
                        return Ok(());
                    }
                    Commit::CutAfter => cut_answer.store(true, Ordering::Relaxed),
                    Commit::Held => {
                        // What came before the commit arrives, so that the transaction holds its locks.
                        to.write_all(&together).await?;
                        together.clear();
                        shared.strike();
                        shared.commit.subscribe().wait_for(|commit| *commit != Commit::Held).await?;
                    }
                }
            }
            together.extend_from_slice(&message);
        }
        let network = *shared.network.borrow();
        if let Network::Slow(delay) = network {
            tokio::time::sleep(delay).await;
        }
        wait_while_silent(shared).await?;
        to.write_all(&together).await?;
    }
}

async fn answers(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    shared: &Shared,
    cut_answer: &AtomicBool,
) -> Result<()> {
    let mut messages = Messages::of_a_server();
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let count = from.read(&mut buffer).await?;
        if count == 0 {
            return Ok(());
        }
        messages.push(&buffer[..count]);
        let mut together = Vec::new();
        while let Some(message) = messages.next() {
            if cut_answer.load(Ordering::Relaxed) && is_committed(&message) {
                shared.strike();
                return Ok(());
            }
            together.extend_from_slice(&shared.rewritten(message));
        }
        wait_while_silent(shared).await?;
        to.write_all(&together).await?;
    }
}

async fn wait_while_silent(shared: &Shared) -> Result<()> {
    shared.network.subscribe().wait_for(|network| *network != Network::Silent).await?;
    Ok(())
}

impl Shared {
    /// A message of the server as the client gets it.
    fn rewritten(&self, mut message: Vec<u8>) -> Vec<u8> {
        let rewritten = self.rewritten.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((text, instead)) = &*rewritten
            && is_row(&message)
            && text.len() == instead.len()
            && let Some(start) = message.windows(text.len()).position(|window| window == text.as_bytes())
        {
            message[start..start + text.len()].copy_from_slice(instead.as_bytes());
        }
        message
    }

    fn strike(&self) {
        self.struck.send_modify(|struck| *struck += 1);
    }
}
