//! Carries connections into and out of the operator's network: it has no other way to the API server, and the tests have
//! no other way to its own ports.

use std::{io, net::Ipv4Addr, sync::Arc};

use anyhow::{Context as _, Result};
use socket2::{Domain, Socket, Type};
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpSocket, TcpStream},
    task::JoinHandle,
};

use super::namespace::Namespace;

/// A port of one network that leads to the same port of another one. Dropping it closes it.
#[derive(Debug)]
pub(super) struct Relay(JoinHandle<()>);

impl Relay {
    /// Lets a local port inside lead to the same local port outside.
    pub(super) fn out_of(inside: &Namespace, port: u16) -> Result<Self> {
        let listener = inside.inside(|| listen(port))?;
        let listener = TcpListener::from_std(listener)?;
        Ok(Self::run(listener, move || TcpStream::connect((Ipv4Addr::LOCALHOST, port))))
    }

    /// Lets a local port outside lead to the same local port inside.
    pub(super) fn into(inside: Arc<Namespace>, port: u16) -> Result<Self> {
        let listener = TcpListener::from_std(listen(port)?)?;
        Ok(Self::run(listener, move || connect_inside(inside.clone(), port)))
    }

    fn run<F>(listener: TcpListener, connect: impl Fn() -> F + Clone + Send + 'static) -> Self
    where
        F: Future<Output = io::Result<TcpStream>> + Send,
    {
        Self(tokio::spawn(async move {
            let mut carried = tokio::task::JoinSet::new();
            while let Ok((mut near, _)) = listener.accept().await {
                let connect = connect.clone();
                carried.spawn(async move {
                    // A connection that breaks is broken for both sides, and they notice.
                    let Ok(mut far) = connect().await else { return };
                    _ = copy_bidirectional(&mut near, &mut far).await;
                });
            }
        }))
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.0.abort();
    }
}

fn listen(port: u16) -> Result<std::net::TcpListener> {
    let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, port));
    let listener = listener.with_context(|| format!("cannot listen on 127.0.0.1:{port}"))?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

async fn connect_inside(inside: Arc<Namespace>, port: u16) -> io::Result<TcpStream> {
    let socket = tokio::task::spawn_blocking(move || inside.inside(socket)).await?;
    let socket = TcpSocket::from_std_stream(socket.map_err(io::Error::other)?.into());
    socket.connect((Ipv4Addr::LOCALHOST, port).into()).await
}

fn socket() -> Result<Socket> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}
