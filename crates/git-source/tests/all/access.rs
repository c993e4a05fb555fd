//! Ways to a repository: a token in two forms, a proxy, a GitHub App.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::Command;
use std::sync::mpsc::{Receiver, channel};

use git_source::{Credential, GitHubApp, GitHubAppError, HttpOptions, HttpProxy, HttpRemote, MemoryRemote, Remote};
use object_model::{Secret, Timestamp};

use crate::served::serve_memory;
use crate::support::seed;
use crate::with_git::skipped;

/// The head of a request: its first line and its headers.
fn head_of(stream: &TcpStream) -> Vec<String> {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap_or(0) == 0 || line.trim().is_empty() {
            return lines;
        }
        lines.push(line.trim().to_owned());
    }
}

/// Answers every request with one text and tells what was asked.
fn answering(answer: String) -> (SocketAddr, Receiver<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let head = head_of(&stream);
            let _ = stream.write_all(answer.as_bytes());
            if sender.send(head).is_err() {
                return;
            }
        }
    });
    (address, receiver)
}

/// A proxy that connects wherever it is asked to, and tells the heads of what it was asked.
fn proxy() -> (SocketAddr, Receiver<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        for mut client in listener.incoming().flatten() {
            let head = head_of(&client);
            let target = head.first().and_then(|line| line.split(' ').nth(1)).unwrap_or_default().to_owned();
            let _ = sender.send(head);
            let Ok(mut server) = TcpStream::connect(target) else { continue };
            let _ = client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n");
            let (mut from, mut to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
            std::thread::spawn(move || std::io::copy(&mut from, &mut to));
            std::thread::spawn(move || std::io::copy(&mut server, &mut client));
        }
    });
    (address, receiver)
}

#[test]
fn a_proxy_is_asked_to_connect_and_is_given_its_own_login_only() {
    let memory = MemoryRemote::new("memory");
    let (_, head) = seed(&memory, &["a=1"]);
    let served = serve_memory(&memory);
    let (address, asked) = proxy();
    let login = Some(("ann".to_owned(), Secret::new("hunter2".to_owned())));
    let proxy = HttpProxy::new(&format!("http://{address}"), login).unwrap();
    let options = HttpOptions { proxy: Some(proxy), ..HttpOptions::default() };
    let credential = Credential::Bearer(Secret::new("token-of-git".to_owned()));
    let remote = HttpRemote::new(&served.server.url("fleet.git"), Some(&credential), options).unwrap();
    assert_eq!(remote.list_refs().unwrap().refs["refs/heads/main"], head);
    let asked = asked.recv().unwrap();
    assert_eq!(asked[0], format!("CONNECT {} HTTP/1.1", served.server.address()));
    let all = asked.join("\n");
    assert!(all.to_lowercase().contains("proxy-authorization: basic"), "{all}");
    assert!(!all.contains("token-of-git"), "{all}");
}

#[test]
fn a_bearer_token_is_sent_as_one() {
    let (address, asked) = answering("HTTP/1.1 401 no\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".to_owned());
    let credential = Credential::Bearer(Secret::new("t0ken".to_owned()));
    let remote = HttpRemote::new(&format!("http://{address}/x"), Some(&credential), HttpOptions::default()).unwrap();
    let error = remote.list_refs().unwrap_err();
    assert_eq!(error.category(), "Unauthorized");
    let head = asked.recv().unwrap();
    assert!(head.iter().any(|line| line.eq_ignore_ascii_case("authorization: bearer t0ken")), "{head:?}");
    assert!(!error.to_string().contains("t0ken"));
}

fn rsa_key() -> Option<String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key");
    let output = Command::new("ssh-keygen")
        .args(["-q", "-t", "rsa", "-b", "2048", "-m", "PEM", "-N", "", "-f"])
        .arg(&path)
        .output();
    let Ok(output) = output else {
        skipped("there is no ssh-keygen");
        return None;
    };
    assert!(output.status.success());
    let mut text = String::new();
    std::fs::File::open(path).unwrap().read_to_string(&mut text).unwrap();
    Some(text)
}

fn app(address: SocketAddr, key: &str) -> GitHubApp {
    GitHubApp {
        app: "12345".to_owned(),
        installation: "678".to_owned(),
        private_key: Secret::new(key.to_owned()),
        api: format!("http://{address}/api/v3"),
    }
}

#[test]
fn a_github_app_gets_the_token_of_its_installation() {
    let Some(key) = rsa_key() else { return };
    let body = r#"{"token":"ghs_abc","expires_at":"2026-01-01T01:00:00Z","permissions":{"contents":"read"}}"#;
    let answer = format!(
        "HTTP/1.1 201 Created\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
    let (address, asked) = answering(answer);
    let now: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
    let token = app(address, &key).token(now, &HttpOptions::default()).unwrap();
    assert_eq!(
        (token.token.expose().as_str(), token.expires_at.to_string().as_str()),
        ("ghs_abc", "2026-01-01T01:00:00Z")
    );
    let head = asked.recv().unwrap();
    assert_eq!(head[0], "POST /api/v3/app/installations/678/access_tokens HTTP/1.1");
    let word = head.iter().find_map(|line| line.strip_prefix("authorization: Bearer ")).unwrap();
    let parts: Vec<&str> = word.split('.').collect();
    let decode = |part: &str| {
        use base64::Engine as _;
        base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(part).unwrap()
    };
    assert_eq!(decode(parts[0]), br#"{"alg":"RS256","typ":"JWT"}"#);
    let claims: serde_json::Value = serde_json::from_slice(&decode(parts[1])).unwrap();
    assert_eq!(claims, serde_json::json!({"iat": 1_767_225_540, "exp": 1_767_226_140, "iss": "12345"}));
    assert_eq!(decode(parts[2]).len(), 256);
}

#[test]
fn what_github_refuses_is_told_without_the_key() {
    let Some(key) = rsa_key() else { return };
    let body = r#"{"message":"A JSON web token could not be decoded"}"#;
    let answer = format!("HTTP/1.1 401 no\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len());
    let (address, _asked) = answering(answer);
    let now = Timestamp::UNIX_EPOCH;
    let error = app(address, &key).token(now, &HttpOptions::default()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "GitHub refused a token for installation 678: status 401 A JSON web token could not be decoded"
    );
    let bad = |change: fn(&mut GitHubApp)| {
        let mut app = app(address, &key);
        change(&mut app);
        app.token(now, &HttpOptions::default()).unwrap_err()
    };
    for error in [
        bad(|app| app.installation = "../1".to_owned()),
        bad(|app| app.api = "http://ghe.example.com".to_owned()),
        bad(|app| app.api = "https://user:x@ghe.example.com".to_owned()),
        bad(|app| app.private_key = Secret::new("hunter2".to_owned())),
    ] {
        assert!(matches!(error, GitHubAppError::Settings { .. }), "{error}");
        assert!(!error.to_string().contains("hunter2"));
    }
}
