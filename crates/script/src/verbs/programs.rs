//! kubectl, as a person would type it: its exit code and what it prints become part of the transcript.

use std::process::Stdio;
use std::time::Duration;

use serde_json::{Map, Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, Command};

use super::waits;
use crate::normalise::is_age;
use crate::script::Call;
use crate::stage::{Stage, Verb};

/// Most bytes that are read from a program.
const OUTPUT_BYTES_MAX: u64 = 4 * 1024 * 1024;

pub(crate) const PROGRAMS: &[Verb] = &[
    Verb {
        name: "kubectl",
        usage: "kubectl ARGUMENTS [@NAME: VALUE of its environment] [STDIN]",
        play: |stage, call| Box::pin(kubectl(stage, call)),
    },
    Verb {
        name: "kubectl-start",
        usage: "kubectl-start ARGUMENTS",
        play: |stage, call| Box::pin(kubectl_start(stage, call)),
    },
    Verb {
        name: "kubectl-lines",
        usage: "kubectl-lines COUNT",
        play: |stage, call| Box::pin(kubectl_lines(stage, call)),
    },
];

/// A program that was started and not yet waited for.
struct Running {
    child: Child,
}

fn command(stage: &Stage, call: &Call) -> Result<Command, String> {
    let kubeconfig = stage.kubeconfig.as_ref().ok_or("kubectl needs a cluster with an address")?;
    let program = std::env::var_os("KUBECTL").unwrap_or_else(|| "kubectl".into());
    let mut command = Command::new(program);
    command
        .args(&call.words)
        .arg(format!("--namespace={}", stage.namespace))
        .env("KUBECONFIG", kubeconfig)
        // Each cluster has its own discovery; a cache by address would mix them up.
        .env("KUBECACHEDIR", format!("{kubeconfig}.cache"))
        // What stands where a request has its headers is the program's environment.
        .envs(call.headers.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    Ok(command)
}

async fn kubectl(stage: &mut Stage, call: &Call) -> Result<(), String> {
    let mut child = command(stage, call)?.spawn().map_err(|error| format!("failed to start kubectl: {error}"))?;
    if let Some(mut input) = child.stdin.take() {
        // A program that does not read its input ends the pipe early, which is no fault of the script.
        let _ = input.write_all(call.body.as_bytes()).await;
    }
    let patience = waits::patience(call)?;
    let ended = tokio::time::timeout(patience, child.wait_with_output()).await;
    let output = ended.map_err(|_| "kubectl did not end".to_owned())?.map_err(|error| error.to_string())?;
    let mut seen = Map::new();
    seen.insert("exit".to_owned(), json!(output.status.code()));
    for (name, bytes) in [("stdout", &output.stdout), ("stderr", &output.stderr)] {
        if !bytes.is_empty() {
            seen.insert(name.to_owned(), shown(&String::from_utf8_lossy(bytes)));
        }
    }
    stage.answer.body = Value::Object(seen);
    stage.record(call, None, Vec::new(), stage.answer.body.clone());
    Ok(())
}

async fn kubectl_start(stage: &mut Stage, call: &Call) -> Result<(), String> {
    let child = command(stage, call)?.spawn().map_err(|error| format!("failed to start kubectl: {error}"))?;
    stage.put(Running { child });
    Ok(())
}

/// Reads lines of the started program, then ends it.
async fn kubectl_lines(stage: &mut Stage, call: &Call) -> Result<(), String> {
    let count: usize = call.words.first().and_then(|count| count.parse().ok()).ok_or("kubectl-lines COUNT")?;
    let patience = waits::patience(call)?;
    let running = stage.property::<Running>().ok_or("no kubectl was started")?;
    let output = running.child.stdout.take().ok_or("its lines were read already")?;
    let mut lines = BufReader::new(output.take(OUTPUT_BYTES_MAX)).lines();
    let mut read = Vec::new();
    let deadline = tokio::time::Instant::now() + patience;
    while read.len() < count {
        match tokio::time::timeout_at(deadline, lines.next_line()).await {
            Ok(Ok(Some(line))) => read.push(line),
            Ok(Ok(None) | Err(_)) => return Err(format!("kubectl ended after {} of {count} lines", read.len())),
            Err(_) => return Err(format!("kubectl has printed {} of {count} lines", read.len())),
        }
    }
    running.child.start_kill().map_err(|error| error.to_string())?;
    let ended = tokio::time::timeout(Duration::from_secs(5), running.child.wait()).await;
    ended.map_err(|_| "kubectl did not end".to_owned())?.map_err(|error| error.to_string())?;
    let body = json!({"stdout": shown(&read.join("\n"))});
    stage.record(call, None, Vec::new(), body);
    Ok(())
}

/// Lines without what depends on the width of random names and on the moment: column gaps and ages.
fn shown(text: &str) -> Value {
    Value::from(text.lines().map(|line| json!(columns(line))).collect::<Vec<Value>>())
}

fn columns(line: &str) -> String {
    let line = &without_moments(&without_folders(line));
    let mut cells: Vec<String> = Vec::new();
    let indent = line.len() - line.trim_start().len();
    for cell in line.trim().split("  ").map(str::trim).filter(|cell| !cell.is_empty()) {
        cells.push(if is_age(cell) { "AGE".to_owned() } else { cell.to_owned() });
    }
    format!("{}{}", " ".repeat(indent), cells.join("  "))
}

/// `/tmp/LIVE-123/` and the like become `LIVE/`: the folders and files that kubectl makes for diffs and editors.
fn without_folders(line: &str) -> String {
    const MADE: [&str; 3] = ["LIVE-", "MERGED-", "kubectl-edit-"];
    let words = line.split(' ').map(|word| {
        let found = MADE.iter().find_map(|made| Some((word.find(made)?, *made)));
        match found {
            Some((start, made)) if word.contains('/') => {
                let before = word.get(..start).unwrap_or_default();
                let before = before.find('/').map_or(before, |slash| before.get(..slash).unwrap_or_default());
                let after = word.get(start + made.len()..).unwrap_or_default();
                let tail = after.trim_start_matches(|character: char| character.is_ascii_alphanumeric());
                format!("{before}{}{tail}", made.trim_end_matches('-'))
            }
            _ => word.to_owned(),
        }
    });
    words.collect::<Vec<_>>().join(" ")
}

/// Moments as people read them: `Sun, 22 Nov 2026 14:07:01 +0000`, and as diff writes them behind a tab.
fn without_moments(line: &str) -> String {
    const DAYS: [&str; 7] = ["Mon, ", "Tue, ", "Wed, ", "Thu, ", "Fri, ", "Sat, ", "Sun, "];
    const LENGTH: usize = "Sun, 22 Nov 2026 14:07:01 +0000".len();
    let start = DAYS.iter().find_map(|day| line.find(day));
    let replaced = start.and_then(|start| {
        let (before, moment, after) =
            (line.get(..start)?, line.get(start..start + LENGTH)?, line.get(start + LENGTH..)?);
        moment.ends_with("+0000").then(|| format!("{before}T{after}"))
    });
    let line = replaced.unwrap_or_else(|| line.to_owned());
    let line = without_go_moment(&line);
    match line.split_once('\t') {
        Some((file, moment)) if file.starts_with("--- ") || file.starts_with("+++ ") => {
            let is_moment = moment.starts_with(|first: char| first.is_ascii_digit());
            if is_moment { format!("{file} T") } else { format!("{file}\t{moment}") }
        }
        _ => line,
    }
}

/// `2026-11-22 14:30:19 +0000 UTC`, as Go prints a moment without being told how.
fn without_go_moment(line: &str) -> String {
    const LENGTH: usize = "2026-11-22 14:30:19".len();
    let Some(end) = line.find(" +0000 UTC") else { return line.to_owned() };
    let Some(start) = end.checked_sub(LENGTH) else { return line.to_owned() };
    match (line.get(..start), line.get(end + " +0000 UTC".len()..)) {
        (Some(before), Some(after)) => format!("{before}T{after}"),
        _ => line.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::columns;

    #[test]
    fn folders_and_moments_lose_what_is_different_each_time() {
        assert_eq!(
            columns("diff -u -N /tmp/LIVE-421/v1.ConfigMap.a /tmp/MERGED-77/v1.ConfigMap.a"),
            "diff -u -N LIVE/v1.ConfigMap.a MERGED/v1.ConfigMap.a"
        );
        assert_eq!(columns("Created on:  2026-11-22 14:30:19 +0000 UTC"), "Created on:  T");
        assert_eq!(columns("--- /tmp/LIVE-1/a\t2026-11-22 14:07:01.5 +0000"), "--- LIVE/a T");
        assert_eq!(columns("CreationTimestamp:  Sun, 22 Nov 2026 14:07:01 +0000"), "CreationTimestamp:  T");
    }

    #[test]
    fn columns_lose_their_width_and_ages_their_value() {
        assert_eq!(columns("web-abc   1/1     Running   0          2m3s"), "web-abc  1/1  Running  0  AGE");
        assert_eq!(columns("NAME   AGE"), "NAME  AGE");
        assert_eq!(columns("  name: 5"), "  name: 5");
    }
}
