//! The operator as a process of its own: started, asked, measured and ended from outside.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use git_source::{Webhook, WebhookKind};
use object_model::Secret;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

/// The kernel counts processor time for user programs in hundredths of a second, whatever its own clock does.
const TICKS_PER_SECOND: f64 = 100.0;
const ANSWER_LIMIT: Duration = Duration::from_secs(10);
const STOP_LIMIT: Duration = Duration::from_secs(30);

/// A running operator. It is killed when this is dropped.
pub(crate) struct Operator {
    child: Child,
    id: u32,
    address: SocketAddr,
    webhook: Webhook,
    log: PathBuf,
}

/// What the kernel says of the process.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Usage {
    at: Instant,
    cpu_s: f64,
    /// Resident memory in megabytes (of a million bytes).
    pub(crate) rss_mb: f64,
    /// The largest it was so far.
    pub(crate) rss_peak_mb: f64,
}

impl Usage {
    /// Processor time since `before`, in percent of one core.
    pub(crate) fn cpu_percent_since(&self, before: &Self) -> f64 {
        100.0 * (self.cpu_s - before.cpu_s) / self.at.duration_since(before.at).as_secs_f64()
    }

    /// Processor time since the start.
    pub(crate) fn cpu_s(&self) -> f64 {
        self.cpu_s
    }
}

impl Operator {
    /// Starts the program with the flags of an installation, but on loopback.
    pub(crate) fn start(program: &Path, kubeconfig: &Path, folder: &Path) -> Result<Self> {
        let secret_file = folder.join("webhook-secret");
        let secret = format!("{:016x}{:016x}", random(), random());
        std::fs::write(&secret_file, &secret)?;
        let webhook = Webhook::new(WebhookKind::Generic, Secret::new(secret))?;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()?));
        let log = folder.join("operator.log");
        let output = std::fs::File::create(&log)?;
        let child = Command::new(program)
            .arg("--kubeconfig")
            .arg(kubeconfig)
            .arg("--record")
            .arg(folder.join("record.db"))
            .arg("--webhook-secret-file")
            .arg(&secret_file)
            .args(["--listen", &address.to_string(), "--identity", "bench", "--log", "json", "--allow-loopback"])
            .args(["--metrics-port", "0"])
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("failed to start `{}`", program.display()))?;
        let id = child.id().context("the operator ended at once")?;
        Ok(Self { child, id, address, webhook, log })
    }

    /// Waits until `/readyz` says so.
    pub(crate) async fn wait_until_ready(&mut self, limit: Duration) -> Result<()> {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait()? {
                bail!("the operator ended with {status}; its log is {}", self.log.display());
            }
            match self.ask("GET", "/readyz", "", b"").await {
                Ok((200, _)) => return Ok(()),
                Ok(_) | Err(_) if begun.elapsed() < limit => tokio::time::sleep(Duration::from_millis(50)).await,
                Ok((status, body)) => bail!("/readyz still says {status} {}", body.trim()),
                Err(error) => return Err(error.context("/readyz does not answer")),
            }
        }
    }

    /// Tells of a commit as a forge does.
    pub(crate) async fn tell(&self, url: &str, branch: &str, commit: &str) -> Result<()> {
        let body = json!({"repository": url, "branch": branch, "commit": commit}).to_string();
        let signature = format!("x-sluice-signature-256: {}\r\n", self.webhook.sign(body.as_bytes()));
        let (status, answer) = self.ask("POST", "/webhook/generic", &signature, body.as_bytes()).await?;
        ensure!(status == 202, "the webhook was answered with {status} {}", answer.trim());
        Ok(())
    }

    /// The text of `/metrics`.
    pub(crate) async fn metrics(&self) -> Result<String> {
        let (status, text) = self.ask("GET", "/metrics", "", b"").await?;
        ensure!(status == 200, "/metrics answered {status}");
        Ok(text)
    }

    async fn ask(&self, method: &str, path: &str, headers: &str, body: &[u8]) -> Result<(u16, String)> {
        let answer = async {
            let mut stream = TcpStream::connect(self.address).await?;
            let head = format!(
                "{method} {path} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\ncontent-length: {}\r\n{headers}\r\n",
                self.address,
                body.len()
            );
            let request = [head.as_bytes(), body].concat();
            stream.write_all(&request).await?;
            let mut text = String::new();
            stream.read_to_string(&mut text).await?;
            anyhow::Ok(text)
        };
        let text = tokio::time::timeout(ANSWER_LIMIT, answer).await.context("the operator does not answer")??;
        let (head, body) = text.split_once("\r\n\r\n").context("the answer is no HTTP")?;
        let status =
            head.split(' ').nth(1).and_then(|status| status.parse().ok()).context("the answer has no status")?;
        Ok((status, body.to_owned()))
    }

    /// What the process uses now.
    pub(crate) fn usage(&self) -> Result<Usage> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.id))?;
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.id))?;
        Ok(Usage {
            at: Instant::now(),
            cpu_s: cpu_seconds(&stat).context("/proc/PID/stat is not as expected")?,
            rss_mb: megabytes(&status, "VmRSS:").context("/proc/PID/status has no VmRSS")?,
            rss_peak_mb: megabytes(&status, "VmHWM:").context("/proc/PID/status has no VmHWM")?,
        })
    }

    /// Asks the process to end and returns how it did and how long that took.
    pub(crate) async fn stop(mut self) -> Result<(ExitStatus, Duration)> {
        let begun = Instant::now();
        let asked = Command::new("kill").arg("-TERM").arg(self.id.to_string()).status().await?;
        ensure!(asked.success(), "the operator could not be asked to end");
        let status = tokio::time::timeout(STOP_LIMIT, self.child.wait()).await;
        let status = status.with_context(|| format!("the operator did not end within {STOP_LIMIT:?}"))??;
        Ok((status, begun.elapsed()))
    }
}

/// User and system time. The name of the program stands in parentheses and may hold anything.
fn cpu_seconds(stat: &str) -> Option<f64> {
    let (_, after_name) = stat.rsplit_once(')')?;
    let mut fields = after_name.split_whitespace().skip(11);
    let user: f64 = fields.next()?.parse().ok()?;
    let system: f64 = fields.next()?.parse().ok()?;
    Some((user + system) / TICKS_PER_SECOND)
}

fn megabytes(status: &str, field: &str) -> Option<f64> {
    let line = status.lines().find_map(|line| line.strip_prefix(field))?;
    let kibibytes: f64 = line.trim().trim_end_matches(" kB").parse().ok()?;
    Some(kibibytes * 1024.0 / 1e6)
}

/// A port that is free now.
fn free_port() -> Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

fn random() -> u64 {
    use std::hash::{BuildHasher, Hasher, RandomState};
    RandomState::new().build_hasher().finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processor_time_is_read_past_a_name_with_spaces_and_parentheses() {
        let stat = "42 (a (b) c) S 1 42 42 0 -1 4194560 1 0 0 0 150 50 0 0 20 0 3 0 1 1 1";
        assert_eq!(cpu_seconds(stat), Some(2.0));
        assert_eq!(cpu_seconds("42 (a"), None);
    }

    #[test]
    fn memory_is_told_in_millions_of_bytes() {
        let status = "Name:\tx\nVmHWM:\t   2000 kB\nVmRSS:\t   1000 kB\n";
        assert_eq!(megabytes(status, "VmRSS:"), Some(1.024));
        assert_eq!(megabytes(status, "VmHWM:"), Some(2.048));
    }
}
