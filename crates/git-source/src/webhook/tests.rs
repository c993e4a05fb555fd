//! Tables of what forges send, in the shapes that their vendors document, and of what nobody may send.

use base64::Engine as _;
use object_model::Secret;

use super::*;

const SECRET: &str = "It's a Secret to Everybody";
const COMMIT: &str = "22671f0349857934857983457983475ec39f196b";

fn hook(kind: WebhookKind) -> Webhook {
    Webhook::new(kind, Secret::new(SECRET.to_owned())).unwrap()
}

/// The proof that each kind asks for, under the name of its header.
fn proof(kind: WebhookKind, body: &[u8]) -> (&'static str, String) {
    let signature = hook(kind).sign(body);
    let bare = signature.trim_start_matches("sha256=").to_owned();
    match kind {
        WebhookKind::GitHub => ("X-Hub-Signature-256", signature),
        WebhookKind::GitLab => ("X-Gitlab-Token", SECRET.to_owned()),
        WebhookKind::BitbucketCloud | WebhookKind::BitbucketServer => ("X-Hub-Signature", signature),
        WebhookKind::Gitea => ("X-Gitea-Signature", bare),
        WebhookKind::Gogs => ("X-Gogs-Signature", bare),
        WebhookKind::AzureDevOps => {
            let pair = base64::engine::general_purpose::STANDARD.encode(format!("hooks:{SECRET}"));
            ("Authorization", format!("Basic {pair}"))
        }
        WebhookKind::Generic => ("X-Sluice-Signature-256", signature),
    }
}

fn send(kind: WebhookKind, headers: &[(&str, &str)], body: &str) -> Result<WebhookAnswer, WebhookRejection> {
    let (name, value) = proof(kind, body.as_bytes());
    let mut all = headers.to_vec();
    all.push((name, &value));
    hook(kind).receive(&all, body.as_bytes())
}

fn refresh(urls: &[&str], moved: &[(&str, Option<&str>)], delivery: Option<&str>) -> WebhookAnswer {
    let moved = moved.iter().map(|(name, commit)| MovedReference {
        name: (*name).to_owned(),
        commit: commit.map(|id| crate::GitId::parse(id).unwrap()),
    });
    WebhookAnswer::Refresh {
        urls: urls.iter().map(|url| (*url).to_owned()).collect(),
        moved: moved.collect(),
        delivery: delivery.map(str::to_owned),
    }
}

#[test]
fn the_signature_is_the_one_that_github_documents() {
    let expected = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
    assert_eq!(hook(WebhookKind::GitHub).sign(b"Hello, World!"), expected);
}

#[test]
fn a_push_on_github_and_its_relatives_becomes_a_refresh() {
    let body = format!(
        r#"{{"ref":"refs/heads/main","before":"{zero}","after":"{COMMIT}","deleted":false,"commits":[],
            "repository":{{"id":1,"full_name":"o/r","html_url":"https://git.example.com/o/r","ssh_url":"git@git.example.com:o/r.git",
            "clone_url":"https://git.example.com/o/r.git"}},"pusher":{{"name":"ada"}}}}"#,
        zero = "0".repeat(40)
    );
    let urls = ["https://git.example.com/o/r.git", "git@git.example.com:o/r.git"];
    let expected = refresh(&urls, &[("refs/heads/main", Some(COMMIT))], Some("d-1"));
    for (kind, event, delivery) in [
        (WebhookKind::GitHub, "x-github-event", "X-GitHub-Delivery"),
        (WebhookKind::Gitea, "X-Gitea-Event", "X-Gitea-Delivery"),
        (WebhookKind::Gitea, "X-Forgejo-Event", "X-Forgejo-Delivery"),
        (WebhookKind::Gogs, "X-Gogs-Event", "X-Gogs-Delivery"),
    ] {
        assert_eq!(send(kind, &[(event, "push"), (delivery, "d-1")], &body), Ok(expected.clone()), "{kind:?}");
        assert_eq!(
            send(kind, &[(event, "issues\u{7}")], "{}"),
            Ok(WebhookAnswer::Ignored { event: "issues\u{fffd}".to_owned() })
        );
        assert_eq!(send(kind, &[], &body).unwrap_err().status(), 400, "{kind:?} without an event");
    }
    assert_eq!(send(WebhookKind::GitHub, &[("X-GitHub-Event", "ping")], "{}"), Ok(WebhookAnswer::Ping));
    let forgejo = hook(WebhookKind::Gitea).sign(body.as_bytes());
    let headers = [("X-Forgejo-Event", "push"), ("X-Forgejo-Signature", forgejo.trim_start_matches("sha256="))];
    assert!(hook(WebhookKind::Gitea).receive(&headers, body.as_bytes()).is_ok());
}

#[test]
fn pushes_of_branches_and_tags_on_gitlab_become_refreshes() {
    let body = |kind: &str, name: &str, after: &str| {
        format!(
            r#"{{"object_kind":"{kind}","event_name":"{kind}","before":"{zero}","after":"{after}","ref":"{name}",
                "checkout_sha":null,"project":{{"id":15,"git_ssh_url":"git@example.com:mike/diaspora.git",
                "git_http_url":"https://example.com/mike/diaspora.git","default_branch":"main"}},"total_commits_count":4}}"#,
            zero = "0".repeat(40)
        )
    };
    let urls = ["https://example.com/mike/diaspora.git", "git@example.com:mike/diaspora.git"];
    let zero = "0".repeat(40);
    for (kind, name, after, commit) in [
        ("push", "refs/heads/main", COMMIT, Some(COMMIT)),
        ("tag_push", "refs/tags/v1.0.0", COMMIT, Some(COMMIT)),
        ("push", "refs/heads/gone", zero.as_str(), None),
    ] {
        for event in ["Push Hook", "System Hook"] {
            let headers = [("X-Gitlab-Event", event), ("X-Gitlab-Event-UUID", "u-1")];
            let answer = send(WebhookKind::GitLab, &headers, &body(kind, name, after));
            assert_eq!(answer, Ok(refresh(&urls, &[(name, commit)], Some("u-1"))));
        }
    }
    let merge = send(WebhookKind::GitLab, &[], r#"{"object_kind":"merge_request"}"#);
    assert_eq!(merge, Ok(WebhookAnswer::Ignored { event: "merge_request".to_owned() }));
    for body in ["{}", r#"{"object_kind":"push"}"#, r#"{"object_kind":"push","ref":"refs/heads/x","project":{}}"#] {
        assert_eq!(send(WebhookKind::GitLab, &[], body).unwrap_err().status(), 400, "{body}");
    }
}

#[test]
fn changes_on_both_bitbuckets_become_refreshes() {
    let cloud = format!(
        r#"{{"actor":{{}},"repository":{{"type":"repository","full_name":"team/web","links":{{"html":{{"href":"https://bitbucket.org/team/web"}}}}}},
            "push":{{"changes":[
              {{"new":{{"type":"branch","name":"release/1","target":{{"type":"commit","hash":"{COMMIT}"}}}},"old":null,"created":true}},
              {{"new":null,"old":{{"type":"branch","name":"gone","target":{{"hash":"{COMMIT}"}}}},"closed":true}},
              {{"new":{{"type":"tag","name":"v1","target":{{"hash":"{COMMIT}"}}}},"old":null}}]}}}}"#
    );
    let moved = [("refs/heads/release/1", Some(COMMIT)), ("refs/heads/gone", None), ("refs/tags/v1", Some(COMMIT))];
    let headers = [("X-Event-Key", "repo:push"), ("X-Request-UUID", "r-1")];
    let expected = refresh(&["https://bitbucket.org/team/web"], &moved, Some("r-1"));
    assert_eq!(send(WebhookKind::BitbucketCloud, &headers, &cloud), Ok(expected));

    let server = format!(
        r#"{{"eventKey":"repo:refs_changed","repository":{{"slug":"web","links":{{"clone":[
            {{"href":"ssh://git@bitbucket.example.com:7999/team/web.git","name":"ssh"}},
            {{"href":"https://bitbucket.example.com/scm/team/web.git","name":"http"}}],"self":[{{"href":"https://x"}}]}}}},
            "changes":[{{"ref":{{"id":"refs/heads/master","displayId":"master","type":"BRANCH"}},"refId":"refs/heads/master",
            "fromHash":"{COMMIT}","toHash":"{COMMIT}","type":"UPDATE"}}]}}"#
    );
    let urls = ["ssh://git@bitbucket.example.com:7999/team/web.git", "https://bitbucket.example.com/scm/team/web.git"];
    let headers = [("X-Event-Key", "repo:refs_changed"), ("X-Request-Id", "r-2")];
    let expected = refresh(&urls, &[("refs/heads/master", Some(COMMIT))], Some("r-2"));
    assert_eq!(send(WebhookKind::BitbucketServer, &headers, &server), Ok(expected));
    for kind in [WebhookKind::BitbucketCloud, WebhookKind::BitbucketServer] {
        let ping = send(kind, &[("X-Event-Key", "diagnostics:ping")], r#"{"test":true}"#);
        assert_eq!(ping, Ok(WebhookAnswer::Ping));
        let other = send(kind, &[("X-Event-Key", "pr:merged")], "{}");
        assert_eq!(other, Ok(WebhookAnswer::Ignored { event: "pr:merged".to_owned() }));
    }
}

#[test]
fn a_push_on_azure_devops_is_known_by_both_addresses() {
    let body = format!(
        r#"{{"id":"03c164c2","eventType":"git.push","publisherId":"tfs","resource":{{"commits":[],
            "refUpdates":[{{"name":"refs/heads/master","oldObjectId":"{zero}","newObjectId":"{COMMIT}"}}],
            "repository":{{"id":"278d","name":"web","url":"https://dev.azure.com/org/_apis/git/repositories/278d",
            "remoteUrl":"https://org@dev.azure.com/org/project/_git/web"}}}},"resourceVersion":"1.0"}}"#,
        zero = "0".repeat(40)
    );
    let urls = ["https://org@dev.azure.com/org/project/_git/web", "git@ssh.dev.azure.com:v3/org/project/web"];
    let expected = refresh(&urls, &[("refs/heads/master", Some(COMMIT))], Some("03c164c2"));
    assert_eq!(send(WebhookKind::AzureDevOps, &[], &body), Ok(expected));
    let other = send(WebhookKind::AzureDevOps, &[], r#"{"eventType":"build.complete"}"#);
    assert_eq!(other, Ok(WebhookAnswer::Ignored { event: "build.complete".to_owned() }));
}

#[test]
fn a_generic_webhook_needs_no_more_than_an_address() {
    let body = r#"{"repository":"http://127.0.0.1:1/fleet.git","branch":"main"}"#;
    let expected = refresh(&["http://127.0.0.1:1/fleet.git"], &[("refs/heads/main", None)], None);
    assert_eq!(send(WebhookKind::Generic, &[], body), Ok(expected.clone()));
    let signature = hook(WebhookKind::Generic).sign(body.as_bytes());
    let as_flux_has_it = [("X-Signature", signature.as_str())];
    assert_eq!(hook(WebhookKind::Generic).receive(&as_flux_has_it, body.as_bytes()), Ok(expected));
    for body in ["{}", r#"{"repository":""}"#, r#"{"repository":"u","branch":"a b"}"#] {
        assert_eq!(send(WebhookKind::Generic, &[], body).unwrap_err().status(), 400, "{body}");
    }
}

/// Every kind: no proof, wrong ones, one of another body, one under another secret, one that is there twice.
#[test]
fn case_19_requests_without_the_right_proof_are_turned_away() {
    for (name, kind) in WebhookKind::NAMED {
        let body = b"{}".as_slice();
        let (header, right) = proof(kind, body);
        let ask = |headers: &[(&str, &str)]| hook(kind).receive(headers, body);
        let missing = ask(&[]).unwrap_err();
        assert_eq!(missing.status(), 401, "{name}");
        assert!(matches!(missing, WebhookRejection::MissingSignature { .. }), "{name}");
        let other_body = proof(kind, b"{ }").1;
        let other_secret = Webhook::new(kind, Secret::new("x".to_owned())).unwrap().sign(body);
        let mut wrong = vec!["".to_owned(), "sha256=".into(), "sha1=abc".into(), "é".into(), other_secret];
        wrong.push(right[..right.len() - 2].to_owned());
        wrong.push(format!("{right}00"));
        wrong.push("Bearer nothing".to_owned());
        wrong.push("Basic aG9va3M6d3Jvbmc=".to_owned());
        if !matches!(kind, WebhookKind::GitLab | WebhookKind::AzureDevOps) {
            wrong.push(other_body);
            wrong.push(right.replace("sha256=", "sha1=").replace("sha256=", "") + "!");
        }
        for wrong in wrong {
            let rejection = ask(&[(header, &wrong)]).unwrap_err();
            assert_eq!((rejection.status(), rejection), (401, WebhookRejection::WrongSignature), "{name} {wrong}");
        }
        let lower = header.to_lowercase();
        assert_eq!(ask(&[(header, &right), (&lower, &right)]).unwrap_err().status(), 400, "{name} twice");
    }
    let weak = [("X-Hub-Signature", "sha1=abc"), ("X-GitHub-Event", "ping")];
    let rejection = hook(WebhookKind::GitHub).receive(&weak, b"{}").unwrap_err();
    assert_eq!((rejection.status(), rejection.to_string().as_str()), (401, "header X-Hub-Signature-256 is missing"));
    for secret in ["", "  \n"] {
        let error = Webhook::new(WebhookKind::Generic, Secret::new(secret.to_owned())).unwrap_err();
        assert_eq!(error.to_string(), "the webhook secret is empty");
    }
}

#[test]
fn malformed_and_oversized_bodies_are_turned_away_by_every_kind() {
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let events =
        [("X-GitHub-Event", "push"), ("X-Gitea-Event", "push"), ("X-Gogs-Event", "push"), ("X-Event-Key", "repo:push")];
    for (name, kind) in WebhookKind::NAMED {
        let mut events = events.to_vec();
        if kind == WebhookKind::BitbucketServer {
            events[3].1 = "repo:refs_changed";
        }
        for body in [
            "",
            "payload=%7B%7D",
            "null",
            "[]",
            "{}",
            r#"{"ref":1,"object_kind":["push"],"eventType":{},"repository":7,"push":null}"#,
            r#"{"ref":"refs/heads/x","object_kind":"push","eventType":"git.push"}"#,
            &deep,
            r#"{"ref":"refs/heads/x","object_kind":"push","project":null,"eventType":"git.push","resource":null,"repository":null}"#,
            r#"{"ref":"refs/heads/../x","object_kind":"push","project":{"git_http_url":"u"},"repository":{"clone_url":"u"}}"#,
            r#"{"ref":"refs/heads/x","after":"zz","object_kind":"push","project":{"git_http_url":"u"},"repository":{"clone_url":"u"}}"#,
            r#"{"push":{"changes":[{}]},"repository":{},"eventType":"git.push","resource":{"repository":{}}}"#,
            r#"{"ref":"refs/heads/x","repository":{"clone_url":["u"]}}"#,
        ] {
            let answer = send(kind, &events, body);
            assert_eq!(answer.map_err(|error| error.status()), Err(400), "{name} {body:.60}");
        }
        let large = " ".repeat(WEBHOOK_BYTES_MAX + 1);
        assert_eq!(send(kind, &events, &large), Err(WebhookRejection::TooLarge), "{name}");
    }
}

proptest::proptest! {
    #[test]
    fn proven_nonsense_never_panics(body: Vec<u8>, event: String) {
        for (_, kind) in WebhookKind::NAMED {
            let (header, value) = proof(kind, &body);
            let headers = [
                ("X-GitHub-Event", event.as_str()), ("X-Gitea-Event", "push"), ("X-Gogs-Event", "push"),
                ("X-Event-Key", "repo:push"), (header, &value),
            ];
            let _ = hook(kind).receive(&headers, &body);
        }
    }

    /// Shapes near the real ones: each field may be missing, null or of another type.
    #[test]
    fn payloads_with_any_field_spoiled_never_panic(spoil in 0_usize..6, junk in ".{0,20}") {
        let junk = serde_json::to_string(&junk).unwrap();
        for value in ["null", "[]", "{}", "1", "\"\"", junk.as_str()] {
            let field = ["repository", "changes", "project", "resource", "push", "ref"][spoil];
            let body = format!(r#"{{"object_kind":"push","eventType":"git.push","{field}":{value}}}"#);
            for (_, kind) in WebhookKind::NAMED {
                let events = [("X-GitHub-Event", "push"), ("X-Gitea-Event", "push"), ("X-Gogs-Event", "push"), ("X-Event-Key", "repo:push")];
                let is_refresh = matches!(send(kind, &events, &body), Ok(WebhookAnswer::Refresh { .. }));
                proptest::prop_assert!(!is_refresh || kind == WebhookKind::Generic);
            }
        }
    }
}
