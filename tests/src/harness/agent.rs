//! Agents that the operator asks what they have loaded: the real library of HolmesGPT, and a server that answers anything.

use std::{
    env,
    io::{BufRead as _, BufReader, Write as _},
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::AbortHandle,
};

/// The Python of the agent's virtual environment. `cargo xtask test api` sets it.
const PYTHON: &str = "TOOLSET_AGENT_PYTHON";

/// How long the agent may take to check its toolsets, or to start.
const PATIENCE: Duration = Duration::from_secs(90);

/// A replica of the agent that answers from the real library (`tests/agent/info_server.py`).
#[derive(Clone, Debug)]
pub struct LibraryAgent {
    port: u16,
}

/// The process that makes the replicas. It ends with the tests, because its standard input does.
struct Replicas {
    _child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

static REPLICAS: Mutex<Option<Replicas>> = Mutex::new(None);

impl LibraryAgent {
    /// An environment variable of the agent with a token, for entries that need one.
    pub const TOKEN_VARIABLE: &str = "TEST_AGENT_TOKEN";
    /// The token.
    pub const TOKEN: &str = "the-token-of-the-agent";

    /// Starts a replica with an empty toolset file. `None` if the agent is not installed.
    pub async fn start() -> Result<Option<Self>> {
        let Some(python) = env::var_os(PYTHON).filter(|path| !path.is_empty()) else { return Ok(None) };
        let port = tokio::task::spawn_blocking(move || {
            let mut replicas = REPLICAS.lock().unwrap_or_else(PoisonError::into_inner);
            let replicas = match &mut *replicas {
                Some(replicas) => replicas,
                none => none.insert(Replicas::start(Path::new(&python))?),
            };
            writeln!(replicas.input, "replica")?;
            let mut line = String::new();
            replicas.output.read_line(&mut line)?;
            line.trim().parse().with_context(|| format!("info_server.py says {line:?} and no port"))
        });
        let agent = Self { port: port.await?? };
        // It checks its toolsets before it answers.
        agent.call("GET", "/test/requests", "").await?;
        Ok(Some(agent))
    }

    /// Its local port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Replaces its toolset file, as the kubelet does when the ConfigMap changes.
    pub async fn mount(&self, file: &str) -> Result<()> {
        self.call("POST", "/test/file", file).await.map(drop)
    }

    /// Lets it read the file again, as it does every five minutes.
    pub async fn refresh(&self) -> Result<()> {
        self.call("POST", "/test/refresh", "").await.map(drop)
    }

    /// Lets it require an API key.
    pub async fn require_key(&self, key: &str) -> Result<()> {
        self.call("POST", "/test/key", key).await.map(drop)
    }

    /// Which local port answers for a `host:port`.
    pub async fn resolve(&self, hosts: &Value) -> Result<()> {
        self.call("POST", "/test/hosts", &hosts.to_string()).await.map(drop)
    }

    /// What it says about itself and its toolsets.
    pub async fn info(&self) -> Result<Value> {
        Ok(serde_json::from_str(&self.call("GET", "/api/info?detail=full", "").await?)?)
    }

    /// The requests of the operator so far.
    pub async fn requests(&self) -> Result<Vec<Value>> {
        Ok(serde_json::from_str(&self.call("GET", "/test/requests", "").await?)?)
    }

    async fn call(&self, method: &str, path: &str, body: &str) -> Result<String> {
        let call = async {
            let mut stream = TcpStream::connect(("127.0.0.1", self.port)).await?;
            let length = body.len();
            let head = format!("{method} {path} HTTP/1.0\r\nHost: localhost\r\nContent-Length: {length}\r\n\r\n");
            stream.write_all(format!("{head}{body}").as_bytes()).await?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await?;
            let (head, body) = answer.split_once("\r\n\r\n").context("no HTTP answer")?;
            ensure!(head.contains(" 200 "), "{head}: {body}");
            Ok(body.to_owned())
        };
        tokio::time::timeout(PATIENCE, call).await?.with_context(|| format!("{method} {path} of the agent"))
    }
}

impl Replicas {
    fn start(python: &Path) -> Result<Self> {
        let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("agent/info_server.py");
        let mut command = Command::new(python);
        // The agent must not find a cluster.
        command.arg(program).env("KUBECONFIG", "/nonexistent");
        command.env(LibraryAgent::TOKEN_VARIABLE, LibraryAgent::TOKEN).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().with_context(|| format!("cannot run {}", python.display()))?;
        let input = child.stdin.take().context("no standard input")?;
        let output = BufReader::new(child.stdout.take().context("no standard output")?);
        Ok(Self { _child: child, input, output })
    }
}

/// What a [`FakeAgent`] does with a request.
#[derive(Clone, Debug)]
pub enum Reply {
    /// Sends these bytes and closes the connection.
    Bytes(Vec<u8>),
    /// Sends these bytes again and again.
    Endless(Vec<u8>),
    /// Sends one of these bytes a second.
    Slowly(Vec<u8>),
    /// Never answers.
    Nothing,
}

impl Reply {
    /// A JSON object with the status 200.
    pub fn json(body: &Value) -> Self {
        let body = body.to_string();
        Self::Bytes(format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len()).into_bytes())
    }
}

/// A server that answers every request in the same way and keeps the requests. Dropping it closes its port.
#[derive(Debug)]
pub struct FakeAgent {
    port: u16,
    state: Arc<Mutex<(Reply, Vec<String>)>>,
    task: AbortHandle,
}

impl FakeAgent {
    /// Starts a server on a free local port.
    pub async fn start(reply: Reply) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let port = listener.local_addr()?.port();
        let state = Arc::new(Mutex::new((reply, Vec::new())));
        let shared = state.clone();
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(answer(stream, shared.clone()));
            }
        });
        Ok(Self { port, state, task: task.abort_handle() })
    }

    /// Its local port.
    pub fn port(&self) -> u16 {
        self.port
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

impl Drop for FakeAgent {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Reads one request, keeps it, and replies.
pub(super) async fn answer(mut stream: TcpStream, state: Arc<Mutex<(Reply, Vec<String>)>>) -> Result<()> {
    let mut request = vec![0; 8192];
    let read = stream.read(&mut request).await?;
    let reply = {
        let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
        state.1.push(String::from_utf8_lossy(&request[..read]).into_owned());
        state.0.clone()
    };
    match reply {
        Reply::Bytes(bytes) => stream.write_all(&bytes).await?,
        Reply::Endless(bytes) => loop {
            stream.write_all(&bytes).await?;
        },
        Reply::Slowly(bytes) => {
            for byte in bytes {
                stream.write_all(&[byte]).await?;
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        }
        // Until the operator closes the connection.
        Reply::Nothing => drop(stream.read(&mut request).await?),
    }
    Ok(())
}
