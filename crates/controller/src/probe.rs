//! `--probe`: asks the replicas of a release whether they are ready and which one leads. It is the program of `helm test`,
//! because the image has no shell and no other program.

use std::{collections::BTreeSet, io, io::Write as _, net::SocketAddr, time::Duration};

use anyhow::{Context as _, Result, bail};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpStream, lookup_host},
    time::{Instant, sleep, timeout},
};

/// How long all replicas may take. The name of a new Service takes a few seconds to resolve.
const DEADLINE: Duration = Duration::from_secs(60);
/// The pause between two rounds.
const PAUSE: Duration = Duration::from_secs(1);
/// How long one answer may take.
const ANSWER: Duration = Duration::from_secs(5);
/// The largest answer in bytes.
const MOST: u64 = 4096;

/// What `/ready` of the leader answers.
pub(crate) const LEADS: &str = "ready, leading\n";
/// What `/ready` of another replica answers.
pub(crate) const STANDS_BY: &str = "ready, standing by\n";
/// What `/ready` answers with the status 503.
pub(crate) const NOT_READY: &str = "not ready\n";

/// Waits until every replica at the address is ready and one of them leads, and prints what each one answered.
///
/// Fails if this takes more than a minute. The error says what the replicas answered last.
pub async fn probe(address: &str) -> Result<()> {
    within(address, DEADLINE, PAUSE).await
}

async fn within(address: &str, deadline: Duration, pause: Duration) -> Result<()> {
    let end = Instant::now() + deadline;
    loop {
        let result = round(address).await;
        match result {
            Ok(lines) => {
                for line in lines {
                    writeln!(io::stdout(), "{line}")?;
                }
                return Ok(());
            }
            Err(error) if Instant::now() + pause >= end => {
                return Err(error.context(format!("the operator at {address} is not ready after {deadline:?}")));
            }
            Err(_) => sleep(pause).await,
        }
    }
}

/// One line for each replica. Fails unless all are ready and one leads.
async fn round(address: &str) -> Result<Vec<String>> {
    let found = lookup_host(address).await.with_context(|| format!("cannot resolve {address}"))?;
    let replicas: BTreeSet<SocketAddr> = found.collect();
    let (mut lines, mut leaders) = (Vec::new(), 0);
    for replica in replicas {
        let answer = timeout(ANSWER, ask(replica)).await;
        let body = answer.map_err(io::Error::from).flatten().with_context(|| format!("{replica} does not respond"))?;
        match body.as_str() {
            LEADS => leaders += 1,
            STANDS_BY => {}
            other => bail!("{replica} responds: {}", other.trim_end()),
        }
        lines.push(format!("{replica}: {}", body.trim_end()));
    }
    match leaders {
        0 => bail!("no replica is the leader: {}", lines.join("; ")),
        _ => Ok(lines),
    }
}

/// The body of the answer to `GET /ready`.
async fn ask(replica: SocketAddr) -> io::Result<String> {
    let mut stream = TcpStream::connect(replica).await?;
    // With this version, the server closes the connection after the answer.
    stream.write_all(b"GET /ready HTTP/1.0\r\nHost: toolset-operator\r\n\r\n").await?;
    let mut answer = String::new();
    stream.take(MOST).read_to_string(&mut answer).await?;
    let Some((_head, body)) = answer.split_once("\r\n\r\n") else {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "the response is not HTTP"));
    };
    Ok(body.to_owned())
}

#[cfg(test)]
mod tests {
    use tokio::{net::TcpListener, task::JoinHandle};

    use super::*;

    const SHORT: Duration = Duration::from_millis(200);
    const NO_PAUSE: Duration = Duration::from_millis(1);

    /// A replica that gives these answers, the last one for ever.
    async fn replica(answers: &'static [&'static str]) -> (String, JoinHandle<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let serving = tokio::spawn(async move {
            for at in 0.. {
                let (mut stream, _) = listener.accept().await.unwrap();
                let body = answers[at.min(answers.len() - 1)];
                let mut request = [0; 256];
                let _read = stream.read(&mut request).await.unwrap();
                let answer = format!("HTTP/1.0 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len());
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
        });
        (address, serving)
    }

    #[tokio::test]
    async fn it_waits_until_the_replica_is_ready_and_leads() {
        let (address, _serving) = replica(&[NOT_READY, STANDS_BY, LEADS]).await;
        within(&address, Duration::from_secs(20), NO_PAUSE).await.unwrap();
    }

    #[tokio::test]
    async fn the_error_says_what_was_answered_last() {
        for (answers, said) in [
            (&[NOT_READY] as &[_], "responds: not ready"),
            (&[STANDS_BY], "no replica is the leader"),
            (&["<html>"], "responds: <html>"),
        ] {
            let (address, _serving) = replica(answers).await;
            let error = within(&address, SHORT, NO_PAUSE).await.unwrap_err();
            let error = format!("{error:#}");
            assert!(error.contains("is not ready after 200ms") && error.contains(said), "{error}");
        }
    }

    #[tokio::test]
    async fn a_name_that_does_not_resolve_is_named() {
        let error = within("does-not-exist.invalid:1", SHORT, SHORT).await.unwrap_err();
        assert!(format!("{error:#}").contains("cannot resolve does-not-exist.invalid:1"), "{error:#}");
    }
}
