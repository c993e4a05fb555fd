//! Our client and the real git against the server of this crate.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use git_source::server::{GitServer, GitService, RunningGitServer};
use git_source::{
    Credential, Fault, FetchReply, FetchRequest, GitObject, HttpOptions, HttpRemote, LocalRemote, MemoryRemote,
    PushOutcome, RefList, RefReply, RefUpdate, Remote, RemoteError, Repository, Retry, Rule, TransferLimits, push,
};
use object_model::Secret;

use crate::support::{commit, seed, text};
use crate::with_git::{git, git_output, has_git};

/// A runtime with a server in it.
pub(crate) struct Served {
    pub(crate) server: RunningGitServer,
    pub(crate) runtime: tokio::runtime::Runtime,
}

fn serve(server: GitServer) -> Served {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let address = SocketAddr::from(([127, 0, 0, 1], 0));
    let server = runtime.block_on(server.serve(address)).unwrap();
    Served { server, runtime }
}

pub(crate) fn serve_memory(remote: &MemoryRemote) -> Served {
    serve(GitServer::new().with_repository("fleet.git", Arc::new(remote.clone())))
}

fn client(served: &Served) -> HttpRemote {
    HttpRemote::new(&served.server.url("fleet.git"), None, HttpOptions::default()).unwrap()
}

/// A client that keeps its server alive.
struct Behind {
    remote: HttpRemote,
    _served: Served,
}

impl Remote for Behind {
    fn describe(&self) -> String {
        self.remote.describe()
    }

    fn list_refs(&self) -> Result<RefList, RemoteError> {
        self.remote.list_refs()
    }

    fn fetch(&self, request: &FetchRequest) -> Result<FetchReply, RemoteError> {
        self.remote.fetch(request)
    }

    fn push(&self, updates: &[RefUpdate], objects: &[GitObject]) -> Result<Vec<RefReply>, RemoteError> {
        self.remote.push(updates, objects)
    }
}

fn behind(server: GitServer) -> Box<dyn Remote> {
    let served = serve(server);
    Box::new(Behind { remote: client(&served), _served: served })
}

#[test]
fn an_http_remote_conforms_in_version_two() {
    crate::conformance::run(&|| {
        behind(GitServer::new().with_repository("fleet.git", Arc::new(MemoryRemote::new("memory"))))
    });
}

#[test]
fn an_http_remote_conforms_in_version_zero() {
    crate::conformance::run(&|| {
        let memory = Arc::new(MemoryRemote::new("memory"));
        behind(GitServer::new().speaking_version_zero().with_repository("fleet.git", memory))
    });
}

#[test]
fn an_http_remote_over_a_directory_conforms() {
    let folder = tempfile::tempdir().unwrap();
    let count = std::cell::Cell::new(0);
    crate::conformance::run(&|| {
        count.set(count.get() + 1);
        let path = folder.path().join(format!("{}.git", count.get()));
        Repository::init_bare(&path, "main").unwrap();
        behind(GitServer::new().with_repository("fleet.git", Arc::new(LocalRemote::new(path))))
    });
}

#[test]
fn a_settled_poll_is_one_request() {
    let memory = MemoryRemote::new("memory");
    seed(&memory, &["a=1"]);
    let served = serve_memory(&memory);
    let remote = client(&served);
    let mut reader = Repository::in_memory();
    for _ in 0..3 {
        reader.fetch(&remote, "main", Some(1)).unwrap();
    }
    let services: Vec<_> = served.server.requests().into_iter().map(|record| (record.service, record.status)).collect();
    assert_eq!(
        services,
        [
            (GitService::DiscoverUpload, 200),
            (GitService::ListRefs, 200),
            (GitService::Fetch, 200),
            (GitService::ListRefs, 200),
            (GitService::ListRefs, 200),
        ]
    );
    assert_eq!(memory.requests().lists, 3);
}

#[test]
fn a_lost_answer_is_settled_over_http() {
    let memory = MemoryRemote::new("memory");
    let (mut repository, head) = seed(&memory, &["a=1"]);
    let served = serve_memory(&memory);
    let remote = client(&served);
    remote.list_refs().unwrap();
    let next = commit(&mut repository, Some(head), 2_000, &["a=2"]);
    memory.inject_on_push(Fault::BreakPush);
    let error = push(&mut repository, &remote, "main", Some(head), next).unwrap_err();
    assert_eq!((error.category(), error.retry()), ("LostReply", Retry::Now));
    assert_eq!(memory.head("main"), Some(head));
    memory.inject_on_push(Fault::LoseReply);
    let outcome = push(&mut repository, &remote, "main", Some(head), next).unwrap();
    assert_eq!(outcome, PushOutcome::Done { now_at: next });
}

#[test]
fn a_rule_of_the_server_reaches_the_one_who_pushes() {
    let memory = MemoryRemote::new("memory");
    let (mut repository, head) = seed(&memory, &["policy/a=1"]);
    memory.add_rule(Rule::ProtectPath { path: "policy".to_owned() });
    let served = serve_memory(&memory);
    let next = commit(&mut repository, Some(head), 2_000, &["policy/a=2"]);
    let outcome = push(&mut repository, &client(&served), "main", Some(head), next).unwrap();
    let PushOutcome::RefusedByServer { message } = outcome else { panic!("{outcome:?}") };
    assert!(message.starts_with("path policy is protected"), "{message}");
}

#[test]
fn case_06_credentials_are_asked_for_and_never_shown() {
    let memory = MemoryRemote::new("memory");
    seed(&memory, &["a=1"]);
    let password = Secret::new("hunter2".to_owned());
    let served =
        serve(GitServer::new().with_repository("fleet.git", Arc::new(memory)).with_credential("bot", &password));
    let url = served.server.url("fleet.git");
    let connect = |password: &str| {
        let password = Secret::new(password.to_owned());
        let credential = Credential::Basic { user: "bot".to_owned(), password };
        HttpRemote::new(&url, Some(&credential), HttpOptions::default()).unwrap()
    };
    let remote = connect("hunter2");
    assert_eq!(remote.list_refs().unwrap().refs.len(), 1);
    assert!(!format!("{remote:?}").contains("hunter2"));
    for remote in [connect("wrong"), client(&served)] {
        let error = remote.list_refs().unwrap_err();
        assert_eq!((error.category(), error.to_string()), ("Unauthorized", format!("{url} refused the credential")));
    }
    let bad = Credential::Bearer(Secret::new("a\r\nX: y".to_owned()));
    let error = HttpRemote::new(&url, Some(&bad), HttpOptions::default()).unwrap_err();
    assert!(error.to_string().ends_with("its credential is empty or has a character that does not belong there"));
}

#[test]
fn missing_repositories_and_refused_addresses_say_so() {
    let served = serve_memory(&MemoryRemote::new("memory"));
    let url = served.server.url("other.git");
    let remote = HttpRemote::new(&url, None, HttpOptions::default()).unwrap();
    assert_eq!(remote.list_refs().unwrap_err().to_string(), format!("{url} has no repository there"));

    let options = HttpOptions { address_filter: Arc::new(|address| !address.is_loopback()), ..Default::default() };
    let error = HttpRemote::new(&url, None, options).unwrap().list_refs().unwrap_err();
    assert_eq!(error.retry(), Retry::Never);
    assert_eq!(error.to_string(), format!("{url} is not allowed by the egress policy: address 127.0.0.1 is refused"));
    let error = HttpRemote::new("http://git.example.com/x", None, HttpOptions::default()).unwrap_err();
    assert!(error.to_string().ends_with("it is not https, and the host is not this machine"));

    let closed = HttpRemote::new("http://127.0.0.1:9/x", None, HttpOptions::default()).unwrap();
    assert_eq!(closed.list_refs().unwrap_err().category(), "Unreachable");
}

#[test]
fn a_reply_over_the_limit_is_refused() {
    let memory = MemoryRemote::new("memory");
    let big: String = (0..20_000).map(|n| format!("{} ", n * 7919 % 10_007)).collect();
    seed(&memory, &[&format!("big={big}"), "small=1"]);
    let served = serve_memory(&memory);
    let remote = client(&served);
    for limits in [
        TransferLimits { reply_bytes_max: 5_000, ..Default::default() },
        TransferLimits { object_bytes_max: 50_000, ..Default::default() },
        TransferLimits { objects_max: 2, ..Default::default() },
        TransferLimits { total_bytes_max: 60_000, ..Default::default() },
    ] {
        let mut reader = Repository::in_memory().with_limits(limits, 1 << 30);
        let error = reader.fetch(&remote, "main", Some(1)).unwrap_err();
        assert_eq!(error.category(), "TooLarge", "{limits:?}: {error}");
        assert_eq!(reader.memory().0, 0, "nothing is kept of it");
    }
}

/// Answers every request with one fixed text, and returns what was asked.
fn answer_with(replies: Vec<String>) -> (SocketAddr, std::thread::JoinHandle<Vec<String>>) {
    use std::io::{Read as _, Write as _};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let thread = std::thread::spawn(move || {
        let answer = |reply: String| {
            let (mut stream, _) = listener.accept().unwrap();
            let mut head = Vec::new();
            let mut byte = [0];
            while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap() > 0 {
                head.extend_from_slice(&byte);
            }
            stream.write_all(reply.as_bytes()).unwrap();
            String::from_utf8(head).unwrap()
        };
        replies.into_iter().map(answer).collect()
    });
    (address, thread)
}

#[test]
fn a_redirect_to_another_host_loses_the_credential() {
    let ok = "HTTP/1.1 200 OK\r\nContent-Type: application/x-git-upload-pack-advertisement\r\nConnection: close\r\n\
              Content-Length: 38\r\n\r\n001e# service=git-upload-pack\n00000000";
    let (second, second_heads) = answer_with(vec![ok.to_owned()]);
    let redirect = format!(
        "HTTP/1.1 301 Moved\r\nLocation: http://{second}/new.git/info/refs?service=git-upload-pack\r\n\
         Connection: close\r\nContent-Length: 0\r\n\r\n"
    );
    let (first, first_heads) = answer_with(vec![redirect]);
    let credential = Credential::Bearer(Secret::new("token".to_owned()));
    let remote = HttpRemote::new(&format!("http://{first}/fleet.git"), Some(&credential), HttpOptions::default());
    assert!(remote.unwrap().list_refs().unwrap().refs.is_empty());
    let sent = |heads: Vec<String>| heads[0].to_ascii_lowercase();
    assert!(sent(first_heads.join().unwrap()).contains("authorization: bearer token"));
    let second = sent(second_heads.join().unwrap());
    assert!(second.starts_with("get /new.git/info/refs?service=git-upload-pack"), "{second}");
    assert!(!second.contains("authorization"), "{second}");
}

#[test]
fn answers_that_are_no_git_are_errors_with_a_reason() {
    for (reply, category, words) in [
        (
            "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nConnection: close\r\nContent-Length: 4\r\n\r\n<p/>",
            "Protocol",
            "it answers text/html instead of application/x-git-upload-pack-advertisement",
        ),
        (
            "HTTP/1.1 302 Found\r\nLocation: https://login.example.com/\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
            "Protocol",
            "it redirects to another kind of page",
        ),
        ("HTTP/1.1 503 Busy\r\nConnection: close\r\nContent-Length: 0\r\n\r\n", "Unreachable", "status 503"),
        (
            "HTTP/1.1 403 No\r\nConnection: close\r\nContent-Length: 7\r\n\r\nIP\x1b[31m",
            "Refused",
            "status 403 IP\u{fffd}[31m",
        ),
    ] {
        let (address, thread) = answer_with(vec![reply.to_owned()]);
        let remote = HttpRemote::new(&format!("http://{address}/x"), None, HttpOptions::default()).unwrap();
        let error = remote.list_refs().unwrap_err();
        assert_eq!(error.category(), category);
        assert!(error.to_string().ends_with(words), "{error}");
        thread.join().unwrap();
    }
}

#[test]
fn a_server_that_never_answers_times_out() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/x", listener.local_addr().unwrap());
    let options = HttpOptions { timeout: Duration::from_millis(300), ..Default::default() };
    let error = HttpRemote::new(&url, None, options).unwrap().list_refs().unwrap_err();
    assert_eq!(error.category(), "TimedOut");
}

#[test]
fn the_server_refuses_other_hosts_and_addresses() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let error = runtime.block_on(GitServer::new().serve(SocketAddr::from(([0, 0, 0, 0], 0)))).err().unwrap();
    assert_eq!(error.to_string(), "0.0.0.0:0 is not a loopback address");

    let served = serve_memory(&MemoryRemote::new("memory"));
    let ask = |head: &str| {
        use std::io::{Read as _, Write as _};
        let mut stream = std::net::TcpStream::connect(served.server.address()).unwrap();
        stream.write_all(head.as_bytes()).unwrap();
        let mut reply = String::new();
        stream.read_to_string(&mut reply).unwrap();
        reply.lines().next().unwrap().to_owned()
    };
    for (head, status) in [
        (
            "GET /fleet.git/info/refs?service=git-upload-pack HTTP/1.1\r\nHost: evil.example.com\r\nConnection: close\r\n\r\n",
            "HTTP/1.1 421",
        ),
        ("GET /fleet.git/info/refs HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", "HTTP/1.1 403"),
        ("GET /fleet.git/HEAD HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", "HTTP/1.1 404"),
        (
            "POST /fleet.git/git-receive-pack HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
            "HTTP/1.1 415",
        ),
        (
            "POST /fleet.git/git-upload-pack HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-git-upload-pack-request\r\nContent-Length: 4\r\nConnection: close\r\n\r\nzzzz",
            "HTTP/1.1 400",
        ),
    ] {
        let line = ask(head);
        assert!(line.starts_with(status), "{line}");
    }
}

#[test]
fn a_push_that_breaks_half_way_leaves_references_and_objects_alone() {
    use std::io::{Read as _, Write as _};
    let folder = tempfile::tempdir().unwrap();
    let bare = folder.path().join("fleet.git");
    Repository::init_bare(&bare, "main").unwrap();
    let local = LocalRemote::new(&bare);
    let (_, first) = seed(&local, &["a=1"]);
    let served = serve(GitServer::new().with_repository("fleet.git", Arc::new(local.clone())));
    let commands = format!("{first} {} refs/heads/main\0 report-status\n", "1".repeat(40));
    let body = format!("{:04x}{commands}0000PACK\0\0\0\x02\0\0\0\x01", commands.len() + 4);
    let count = || walk(&bare);
    let before = count();
    for length in [body.len() + 500, body.len()] {
        let mut stream = std::net::TcpStream::connect(served.server.address()).unwrap();
        let head = format!(
            "POST /fleet.git/git-receive-pack HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
             Content-Type: application/x-git-receive-pack-request\r\nContent-Length: {length}\r\n\r\n{body}"
        );
        stream.write_all(head.as_bytes()).unwrap();
        if length > body.len() {
            stream.shutdown(std::net::Shutdown::Write).unwrap();
        }
        let mut reply = String::new();
        stream.read_to_string(&mut reply).unwrap();
        assert!(length > body.len() || reply.contains("ng refs/heads/main unpacker error"), "{reply}");
        assert_eq!(local.list_refs().unwrap().refs["refs/heads/main"], first);
        assert_eq!(count(), before, "no file came or went");
    }
}

/// All files under a folder.
fn walk(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut files = Vec::new();
    let mut pending = vec![folder.to_owned()];
    while let Some(folder) = pending.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { pending.push(path) } else { files.push(path) }
        }
    }
    files.sort();
    files
}

#[test]
fn real_git_clones_fetches_and_pushes() {
    if !has_git() {
        return;
    }
    for version in ["0", "1", "2"] {
        let memory = MemoryRemote::new("memory");
        let (mut ours, first) = seed(&memory, &["apps/web=1", "README=hello"]);
        let served = serve_memory(&memory);
        let url = served.server.url("fleet.git");
        let folder = tempfile::tempdir().unwrap();
        let protocol = format!("protocol.version={version}");
        let in_clone =
            |arguments: &[&str]| git(&folder.path().join("clone"), &[&["-c", &protocol], arguments].concat());
        git(folder.path(), &["-c", &protocol, "clone", "-q", &url, "clone"]);
        assert_eq!(in_clone(&["rev-parse", "HEAD"]), first.to_string());

        // Their push is read here.
        std::fs::write(folder.path().join("clone/apps/web"), "2").unwrap();
        in_clone(&["commit", "-q", "-am", "two"]);
        in_clone(&["push", "-q", "origin", "main"]);
        let second = memory.head("main").unwrap();
        assert_eq!(second.to_string(), in_clone(&["rev-parse", "HEAD"]));
        ours.fetch(&memory, "main", None).unwrap();
        assert_eq!(text(&ours, second, "apps/web"), "2");

        // Many commits here, fetched there in steps; enough that git deflates its request.
        let mut head = second;
        for n in 0..60 {
            head = commit(&mut ours, Some(head), 2_000_000_000 + n, &[&format!("n={n}")]);
            let branch = format!("b{n}");
            memory.with_repository(|repository| {
                repository
                    .fetch(&MemoryRemote::from_repository("ours", ours.clone()), &head.to_string(), None)
                    .unwrap();
                repository.set_branch(&branch, head).unwrap();
            });
        }
        in_clone(&["fetch", "-q", "origin"]);
        assert_eq!(in_clone(&["rev-parse", "origin/b59"]), head.to_string());
        let more = commit(&mut ours, Some(head), 2_100_000_000, &["n=more"]);
        push(&mut ours, &memory, "main", Some(second), more).unwrap();
        in_clone(&["pull", "-q", "--ff-only", "origin", "main"]);
        assert_eq!(in_clone(&["rev-parse", "HEAD"]), more.to_string());
        assert_eq!(in_clone(&["fsck", "--strict"]), "");

        // Shallow, then deeper, then whole.
        git(folder.path(), &["-c", &protocol, "clone", "-q", "--depth", "2", &url, "shallow"]);
        let shallow =
            |arguments: &[&str]| git(&folder.path().join("shallow"), &[&["-c", &protocol], arguments].concat());
        assert_eq!(shallow(&["rev-list", "--count", "HEAD"]), "2");
        shallow(&["fetch", "-q", "--depth", "5", "origin", "main"]);
        assert_eq!(shallow(&["rev-list", "--count", "origin/main"]), "5");
        std::fs::write(folder.path().join("shallow/n"), "from a shallow clone").unwrap();
        shallow(&["commit", "-q", "-am", "from shallow"]);
        shallow(&["push", "-q", "origin", "HEAD:refs/heads/side"]);
        assert_eq!(memory.head("side").unwrap().to_string(), shallow(&["rev-parse", "HEAD"]));
        shallow(&["fetch", "-q", "--unshallow", "origin"]);
        assert_eq!(shallow(&["rev-list", "--count", "origin/main"]), "63");
        assert_eq!(shallow(&["fsck", "--strict"]), "");

        // A rule's words reach the terminal, and nothing moves.
        memory.add_rule(Rule::hook(|_| Err("frozen for the audit".to_owned())));
        std::fs::write(folder.path().join("clone/n"), "x").unwrap();
        in_clone(&["commit", "-q", "-am", "x"]);
        let refused = git_output(&folder.path().join("clone"), &["-c", &protocol, "push", "origin", "main"]);
        assert!(!refused.status.success());
        let words = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(words.contains("[remote rejected] main -> main (frozen for the audit)"), "{words}");
        assert_eq!(memory.head("main"), Some(more));
    }
}

#[test]
fn real_git_pushes_much_deletes_and_moves_several_references_at_once() {
    if !has_git() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let bare = folder.path().join("fleet.git");
    Repository::init_bare(&bare, "main").unwrap();
    let remote = LocalRemote::new(&bare).with_rule(Rule::FastForwardOnly);
    let served = serve(GitServer::new().with_repository("fleet.git", Arc::new(remote)));
    let url = served.server.url("fleet.git");
    git(folder.path(), &["clone", "-q", &url, "clone"]);
    let clone = folder.path().join("clone");
    git(&clone, &["checkout", "-q", "-B", "main"]);
    // More than a megabyte: git sends it in chunks, after an empty push.
    let noise: Vec<u8> = (0..3_000_000u64).map(|n| (n.wrapping_mul(6_364_136_223_846_793_005) >> 33) as u8).collect();
    std::fs::write(clone.join("noise"), noise).unwrap();
    git(&clone, &["add", "."]);
    git(&clone, &["commit", "-q", "-m", "noise"]);
    git(&clone, &["tag", "-a", "v1", "-m", "one"]);
    git(&clone, &["push", "-q", "--atomic", "origin", "main", "main:refs/heads/other", "v1"]);
    assert_eq!(git(&bare, &["rev-parse", "v1^{commit}", "other"]), git(&clone, &["rev-parse", "main", "main"]));
    git(&clone, &["commit", "-q", "--amend", "-m", "again"]);
    let refused = git_output(&clone, &["push", "--force", "origin", "main"]);
    assert!(String::from_utf8_lossy(&refused.stderr).contains("(non-fast-forward)"));
    let refused = git_output(&clone, &["push", "origin", ":refs/heads/other"]);
    assert!(String::from_utf8_lossy(&refused.stderr).contains("(deletion prohibited)"));
    git(&clone, &["push", "-q", "origin", ":refs/tags/v1"]);
    assert_eq!(git(&bare, &["tag", "-l"]), "");
    assert_eq!(git(&bare, &["fsck", "--strict", "--no-dangling"]), "");
}

#[test]
fn our_client_speaks_to_the_git_http_backend() {
    if !has_git() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let Some(backend) = crate::backend::start(folder.path()) else { return };
    let count = std::cell::Cell::new(0);
    crate::conformance::run(&|| {
        count.set(count.get() + 1);
        let name = format!("{}.git", count.get());
        git(folder.path(), &["init", "-q", "--bare", &name]);
        git(&folder.path().join(&name), &["config", "http.receivepack", "true"]);
        git(&folder.path().join(&name), &["config", "uploadpack.allowAnySHA1InWant", "true"]);
        Box::new(HttpRemote::new(&backend.url(&name), None, HttpOptions::default()).unwrap())
    });
}
