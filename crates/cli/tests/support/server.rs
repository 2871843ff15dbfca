//! An API server that is played.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    path::PathBuf,
    sync::{Arc, Mutex},
};

use serde_json::{Value, json};

use super::{Run, program};

/// The answer of an API server: the status line and the body.
pub(crate) type Answer = (&'static str, String);

/// The status line of a watch without an event.
const QUIET: &str = "200 OK ";

/// A request that the program sent.
pub(crate) struct Request {
    pub method: String,
    /// The path with the query.
    pub path: String,
    /// The lines of the headers.
    pub headers: Vec<String>,
    pub body: String,
}

/// An API server on a port of this machine. It answers until the test ends.
pub(crate) struct Server {
    pub address: SocketAddr,
    /// The paths that were asked for.
    asked: Arc<Mutex<Vec<String>>>,
    folder: tempfile::TempDir,
}

impl Server {
    pub(crate) fn start(answer: impl Fn(&Request) -> Answer + Send + Sync + 'static) -> Self {
        let answer = Arc::new(answer);
        let asked = Arc::new(Mutex::new(Vec::new()));
        let paths = Arc::clone(&asked);
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let address = listener.local_addr().expect("it listens");
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(stream) = stream else { return };
                let (answer, paths) = (Arc::clone(&answer), Arc::clone(&paths));
                std::thread::spawn(move || serve(stream, &*answer, &paths));
            }
        });
        Self { address, asked, folder: tempfile::tempdir().expect("a folder") }
    }

    /// The paths that the program asked for.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().expect("no panic").clone()
    }

    /// Writes a kubeconfig for this server. Its context is `c`, and `user` and `context` are further fields of both.
    pub(crate) fn kubeconfig(&self, name: &str, user: &Value, namespace: Option<&str>) -> PathBuf {
        let mut context = json!({"cluster": "c", "user": "u"});
        if let Some(namespace) = namespace {
            context["namespace"] = namespace.into();
        }
        let file = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "c",
            "users": [{"name": "u", "user": user}],
            "clusters": [{"name": "c", "cluster": {"server": format!("http://{}", self.address)}}],
            "contexts": [{"name": "c", "context": context}],
        });
        self.write(name, &file.to_string())
    }

    /// Writes a file.
    pub(crate) fn write(&self, name: &str, file: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, file).expect("the folder is writable");
        path
    }

    /// Runs the program with this server.
    pub(crate) fn run(&self, args: &[&str]) -> Run {
        let kubeconfig = self.kubeconfig("kubeconfig", &json!({}), None);
        Run::of(program().args(args).env("KUBECONFIG", &kubeconfig))
    }
}

fn serve(mut stream: TcpStream, answer: &dyn Fn(&Request) -> Answer, paths: &Mutex<Vec<String>>) {
    let mut reader = BufReader::new(stream.try_clone().expect("a second handle"));
    let Some(request) = read(&mut reader) else { return };
    let (status, body) = answer(&request);
    paths.lock().expect("no panic").push(request.path);
    let head = format!("HTTP/1.1 {status}\r\ncontent-type: application/json\r\nconnection: close");
    // The program may have ended.
    if status == QUIET {
        let _ = write!(stream, "{head}\r\n\r\n");
        // Until the program ends.
        let _ = reader.read(&mut [0]);
    } else {
        let _ = write!(stream, "{head}\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    }
}

fn read(reader: &mut impl std::io::BufRead) -> Option<Request> {
    let mut lines = reader.by_ref().lines();
    let first = lines.next()?.ok()?;
    let headers: Vec<String> = lines.by_ref().map_while(Result::ok).take_while(|line| !line.is_empty()).collect();
    let length = headers.iter().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok()).flatten()
    });
    let mut body = vec![0; length.unwrap_or_default()];
    reader.read_exact(&mut body).ok()?;
    let mut words = first.split(' ').map(str::to_owned);
    Some(Request { method: words.next()?, path: words.next()?, headers, body: String::from_utf8(body).expect("UTF-8") })
}

pub(crate) fn ok(body: &Value) -> Answer {
    ("200 OK", body.to_string())
}

/// A watch without an event.
pub(crate) fn quiet() -> Answer {
    (QUIET, String::new())
}

pub(crate) fn failed(message: &str) -> Answer {
    ("500 Internal Server Error", status(500, "InternalError", message))
}

pub(crate) fn forbidden(message: &str) -> Answer {
    ("403 Forbidden", status(403, "Forbidden", message))
}

pub(crate) fn not_found() -> Answer {
    ("404 Not Found", status(404, "NotFound", "not found"))
}

fn status(code: u16, reason: &str, message: &str) -> String {
    json!({
        "apiVersion": "v1", "kind": "Status", "status": "Failure", "code": code, "reason": reason, "message": message,
    })
    .to_string()
}
