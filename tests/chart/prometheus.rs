//! A real Prometheus.

use std::{
    fs,
    path::Path,
    process::{Child, Command, Stdio},
};

use anyhow::{Context as _, Result, bail};
use e2e::controlplane::ports;
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

/// A Prometheus that scrapes one target every second. Dropping it ends it.
pub(crate) struct Prometheus {
    child: Child,
    port: u16,
}

impl Prometheus {
    /// Scrapes this URL as a Pod with this name in this namespace.
    pub(crate) fn start(program: &Path, folder: &Path, url: &str, (namespace, pod): (&str, &str)) -> Result<Self> {
        let target = url.strip_prefix("http://").and_then(|rest| rest.strip_suffix("/metrics")).context("no target")?;
        let config = folder.join("prometheus.yml");
        fs::write(
            &config,
            format!(
                "global: {{scrape_interval: 1s, scrape_timeout: 1s}}\nscrape_configs:\n- job_name: {pod}\n  \
                 static_configs:\n  - targets: ['{target}']\n    labels: {{namespace: {namespace}, pod: {pod}}}\n"
            ),
        )?;
        let port = ports::free()?;
        let log = fs::File::create(folder.join("prometheus.log"))?;
        let child = Command::new(program)
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.tsdb.path={}", folder.join("prometheus").display()))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .context("cannot start Prometheus")?;
        Ok(Self { child, port })
    }

    /// The series that an expression gives now, those without a number left out.
    pub(crate) async fn query(&self, expression: &str) -> Result<Vec<Value>> {
        let body = format!("query={}", encoded(expression));
        let request = format!(
            "POST /api/v1/query HTTP/1.0\r\nHost: localhost\r\nContent-Type: application/x-www-form-urlencoded\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).await.context("Prometheus does not answer")?;
        stream.write_all(request.as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        let (_, json) = answer.split_once("\r\n\r\n").context("no HTTP answer")?;
        let answer: Value = serde_json::from_str(json).with_context(|| format!("Prometheus says {json:?}"))?;
        if answer["status"] != "success" {
            bail!("Prometheus says {}", answer["error"]);
        }
        let series = answer["data"]["result"].as_array().cloned().unwrap_or_default();
        Ok(series.into_iter().filter(|series| series["value"][1] != "NaN").collect())
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        // It may have ended by itself; there is nobody to tell.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// As forms have it.
fn encoded(text: &str) -> String {
    text.bytes()
        .map(|byte| if byte.is_ascii_alphanumeric() { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}
