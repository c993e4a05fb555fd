//! Git's own HTTP program behind a few lines of CGI, to see our client speak to the original.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A server over a folder of repositories. It ends with the process.
pub(crate) struct Backend {
    address: SocketAddr,
}

impl Backend {
    pub(crate) fn url(&self, name: &str) -> String {
        format!("http://{}/{name}", self.address)
    }
}

/// Starts the server; `None`, with a word, where git has no HTTP program.
pub(crate) fn start(folder: &Path) -> Option<Backend> {
    let output = Command::new("git").arg("--exec-path").output().ok()?;
    let program = PathBuf::from(String::from_utf8(output.stdout).ok()?.trim()).join("git-http-backend");
    if !program.exists() {
        crate::with_git::skipped("there is no git-http-backend");
        return None;
    }
    let listener = TcpListener::bind("127.0.0.1:0").ok()?;
    let address = listener.local_addr().ok()?;
    let folder = folder.to_owned();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let (folder, program) = (folder.clone(), program.clone());
            std::thread::spawn(move || answer(stream, &folder, &program));
        }
    });
    Some(Backend { address })
}

fn answer(mut stream: TcpStream, folder: &Path, program: &Path) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let mut first = String::new();
    reader.read_line(&mut first).ok()?;
    let mut words = first.split(' ');
    let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((key, value)) = line.trim().split_once(':') else { break };
        headers.insert(key.to_ascii_lowercase(), value.trim().to_owned());
    }
    let length = headers.get("content-length").and_then(|text| text.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let header = |name: &str| headers.get(name).cloned().unwrap_or_default();
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    let mut child = Command::new(program)
        .env("GIT_PROJECT_ROOT", folder)
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("REQUEST_METHOD", &method)
        .env("PATH_INFO", path)
        .env("QUERY_STRING", query)
        .env("CONTENT_TYPE", header("content-type"))
        .env("CONTENT_LENGTH", length.to_string())
        .env("GIT_PROTOCOL", header("git-protocol"))
        .env("REMOTE_ADDR", "127.0.0.1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    let mut input = child.stdin.take()?;
    let writer = std::thread::spawn(move || input.write_all(&body));
    let output = child.wait_with_output().ok()?;
    drop(writer.join());
    let split = output.stdout.windows(4).position(|window| window == b"\r\n\r\n")?;
    let (head, content) = output.stdout.split_at(split + 4);
    let head = String::from_utf8_lossy(head);
    let status = head.lines().find_map(|line| line.strip_prefix("Status: ")).unwrap_or("200 OK").to_owned();
    let head = head.trim_end();
    let reply =
        format!("HTTP/1.1 {status}\r\n{head}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", content.len());
    stream.write_all(reply.as_bytes()).ok()?;
    stream.write_all(content).ok()
}
