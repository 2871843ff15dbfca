//! Asks Python's YAML reader, the agent's, whether it reads two files in the same way.

use std::{
    cell::RefCell,
    env,
    io::{BufRead as _, BufReader, Write as _},
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use serde_json::Value;

/// Names the Python that has `PyYAML`. Without it, files are not compared.
const VARIABLE: &str = "FUZZ_PYTHON";

/// A process that answers one line of JSON with another.
struct Oracle {
    _process: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
}

thread_local! {
    static ORACLE: RefCell<Option<Oracle>> = const { RefCell::new(None) };
}

/// The answer to a question. `None` without Python. `Err` says why there is no answer.
pub(crate) fn ask(question: &Value) -> Option<Result<String, String>> {
    let python = env::var_os(VARIABLE)?;
    Some(ORACLE.with_borrow_mut(|oracle| {
        let oracle = match oracle {
            Some(oracle) => oracle,
            None => oracle.insert(start(Path::new(&python)).map_err(|error| format!("cannot start Python: {error}"))?),
        };
        exchange(oracle, question).map_err(|error| format!("Python gives no answer: {error}"))
    }))
}

fn start(python: &Path) -> std::io::Result<Oracle> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("oracle.py");
    let mut process = Command::new(python).arg(script).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    let missing = || std::io::Error::other("it has no pipe");
    let to = process.stdin.take().ok_or_else(missing)?;
    let from = BufReader::new(process.stdout.take().ok_or_else(missing)?);
    Ok(Oracle { _process: process, to, from })
}

fn exchange(oracle: &mut Oracle, question: &Value) -> std::io::Result<String> {
    writeln!(oracle.to, "{question}")?;
    let mut answer = String::new();
    oracle.from.read_line(&mut answer)?;
    if answer.is_empty() { Err(std::io::Error::other("it ended")) } else { Ok(answer.trim_end().to_owned()) }
}
