//! A line to the API server that a test can cut.

use std::{
    net::Ipv4Addr,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use http::uri::{Authority, Uri};
use kube::config::Kubeconfig;
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    sync::watch,
    task::{JoinHandle, JoinSet},
};

use super::{Account, World};
use crate::controlplane::{nonce, write_private};

/// A port that leads to the API server. It carries bytes and sees no requests, so that the permissions of its client apply.
/// Dropping it closes it.
#[derive(Debug)]
pub struct Line {
    kubeconfig: PathBuf,
    cuts: watch::Sender<()>,
    task: JoinHandle<()>,
}

impl World {
    /// A line for the client with this account.
    pub async fn line(&self, account: &Account) -> Result<Line> {
        let mut config = Kubeconfig::read_from(account.kubeconfig())?;
        let cluster = config.clusters.first_mut().and_then(|named| named.cluster.as_mut());
        let server = cluster.and_then(|cluster| cluster.server.as_mut()).context("the kubeconfig names no server")?;
        let url: Uri = server.parse().with_context(|| format!("{server} is no URL"))?;
        let port = url.authority().and_then(Authority::port_u16).with_context(|| format!("{server} has no port"))?;

        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        // The certificate of the API server is for the address, with any port.
        *server = format!("https://{}", listener.local_addr()?);
        let kubeconfig = self.folder().join(format!("line-{}.kubeconfig", nonce()?));
        write_private(&kubeconfig, &serde_json::to_vec(&config)?)?;
        let (cuts, cut) = watch::channel(());
        Ok(Line { kubeconfig, cuts, task: tokio::spawn(carry(listener, port, cut)) })
    }
}

impl Line {
    /// A kubeconfig whose server is the line.
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// Breaks every connection, so that every watch starts again. New connections are carried at once.
    pub fn cut(&self) {
        self.cuts.send_replace(());
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn carry(listener: TcpListener, port: u16, mut cut: watch::Receiver<()>) {
    let mut carried = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((mut near, _)) = accepted else { return };
                carried.spawn(async move {
                    // A connection that breaks is broken for both sides, and they notice.
                    let Ok(mut far) = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await else { return };
                    _ = copy_bidirectional(&mut near, &mut far).await;
                });
            }
            // Fails when the line is dropped.
            changed = cut.changed() => match changed {
                Ok(()) => carried.abort_all(),
                Err(_) => return,
            },
        }
    }
}
