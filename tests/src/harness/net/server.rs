//! What answers behind the addresses of Pods.

use std::{
    net::{SocketAddr, TcpListener},
    sync::{Arc, Mutex, PoisonError},
};

use anyhow::{Context as _, Result};
use socket2::{Domain, Socket, Type};
use tokio::task::AbortHandle;

use crate::harness::agent::{Reply, answer};

/// A server in the network of the Pods that answers every request in the same way and keeps the requests. Dropping it
/// closes its port.
#[derive(Debug)]
pub struct PodServer {
    at: SocketAddr,
    state: Arc<Mutex<(Reply, Vec<String>)>>,
    task: AbortHandle,
}

impl PodServer {
    pub(super) fn start(listener: TcpListener, reply: Reply) -> Result<Self> {
        let at = listener.local_addr()?;
        let listener = tokio::net::TcpListener::from_std(listener)?;
        let state = Arc::new(Mutex::new((reply, Vec::new())));
        let shared = state.clone();
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(answer(stream, shared.clone()));
            }
        });
        Ok(Self { at, state, task: task.abort_handle() })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.at
    }

    /// Changes the reply to further requests.
    pub fn reply(&self, reply: Reply) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).0 = reply;
    }

    /// The requests so far.
    pub fn requests(&self) -> Vec<String> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).1.clone()
    }
}

impl Drop for PodServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A listener, also on an address that only the routes make local.
pub(super) fn listen(at: SocketAddr) -> Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(at), Type::STREAM, None)?;
    if at.is_ipv6() {
        socket.set_only_v6(true)?;
        socket.set_freebind_v6(true)?;
    } else {
        socket.set_freebind_v4(true)?;
    }
    // One server has all addresses, and others have one of them: the kernel takes the one that fits best.
    socket.set_reuse_port(true)?;
    socket.bind(&at.into()).with_context(|| format!("cannot listen on {at}"))?;
    socket.listen(128)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}
