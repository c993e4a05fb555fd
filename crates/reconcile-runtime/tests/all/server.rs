//! The operator's server over a real socket on loopback.

use git_source::{Webhook, WebhookKind};
use object_model::Secret;
use reconcile_core::{HttpQuery, HttpReply};
use reconcile_runtime::{Clock, EgressPolicy, HttpSender, RecordAccess, Runtime, Sender, ServerOptions, serve};
use serde_json::json;
use tokio::net::TcpListener;

use crate::cluster::World;

struct Server {
    address: String,
    sender: HttpSender,
    serving: tokio::task::JoinHandle<std::io::Result<()>>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Server {
    async fn start() -> Self {
        let runtime = Runtime::builder(World::new().client()).build();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let options = ServerOptions {
            webhook_secret: Some(Secret::new("hook".to_owned())),
            record_access: RecordAccess::Token(Secret::new("reader".to_owned())),
        };
        let serving = tokio::spawn(serve(listener, runtime.handle(), options));
        let sender = HttpSender::new(EgressPolicy { allow_loopback: true }, Clock::Wall).unwrap();
        Self { address, sender, serving }
    }

    fn query(&self, method: &str, path: &str, headers: &[(&str, &str)], body: Option<&str>) -> HttpQuery {
        HttpQuery {
            method: method.to_owned(),
            url: format!("http://{}{path}", self.address),
            headers: headers
                .iter()
                .map(|(name, value)| ((*name).to_owned(), Secret::new((*value).to_owned())))
                .collect(),
            body: body.map(|body| Secret::new(body.to_owned())),
            timeout_ms: 5_000,
            body_bytes_max: 1 << 20,
            insecure_tls: false,
        }
    }

    async fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: Option<&str>) -> (u16, String) {
        match self.sender.send(&self.query(method, path, headers, body)).await {
            HttpReply::Response { status, body, .. } => (status, body),
            HttpReply::Failed { message, .. } => panic!("no answer: {message}"),
        }
    }
}

#[tokio::test]
async fn health_metrics_and_unknown_paths_are_answered() {
    let server = Server::start().await;
    assert_eq!(server.send("GET", "/healthz", &[], None).await, (200, "ok\n".to_owned()));
    let (status, text) = server.send("GET", "/metrics", &[], None).await;
    assert_eq!(status, 200);
    assert!(text.contains("sluice_queue_due 0\n"), "{text}");
    assert_eq!(server.send("GET", "/secret", &[], None).await.0, 404);
    assert_eq!(server.send("POST", "/healthz", &[], None).await.0, 405);
}

#[tokio::test]
async fn case_19_a_webhook_counts_only_with_the_right_signature() {
    let server = Server::start().await;
    let body = json!({"repository": "https://git.example.com/fleet", "branch": "main"}).to_string();
    let webhook = Webhook::new(WebhookKind::Generic, Secret::new("hook".to_owned())).unwrap();
    let good = webhook.sign(body.as_bytes());
    let name = "X-Sluice-Signature-256";
    let send = async |headers: &[(&str, &str)], body: &str| {
        server.send("POST", "/webhook/generic", headers, Some(body)).await.0
    };
    assert_eq!(send(&[(name, &good)], &body).await, 202);
    assert_eq!(send(&[(name, &good)], "{}").await, 401);
    assert_eq!(send(&[], &body).await, 401);
    assert_eq!(send(&[(name, &good)], "").await, 401);
}

#[tokio::test]
async fn case_20_a_webhook_that_comes_again_or_is_too_large_does_nothing() {
    let server = Server::start().await;
    let body = json!({"repository": "https://git.example.com/fleet"}).to_string();
    let webhook = Webhook::new(WebhookKind::Generic, Secret::new("hook".to_owned())).unwrap();
    let send = async |body: &str, delivery: &str, encoding: &str| {
        let good = webhook.sign(body.as_bytes());
        let headers = [
            ("X-Sluice-Signature-256", good.as_str()),
            ("X-Sluice-Delivery", delivery),
            ("Content-Encoding", encoding),
        ];
        server.send("POST", "/webhook/generic", &headers, Some(body)).await
    };
    assert_eq!(send(&body, "1", "identity").await.0, 202);
    assert_eq!(send(&body, "1", "identity").await, (200, "this delivery was here before\n".to_owned()));
    assert_eq!(send(&body, "2", "identity").await.0, 202);
    // Nothing is unpacked: what says that it is packed is read as it stands.
    assert_eq!(send("\u{1f}packed", "3", "gzip").await.0, 400);
    assert_eq!(send(&" ".repeat((1 << 20) + 1), "4", "identity").await.0, 413);
    let good = webhook.sign(body.as_bytes());
    let as_gitlab = [("X-Gitlab-Token", "hook")];
    assert_eq!(
        server.send("POST", "/webhook/gitlab", &as_gitlab, Some(&body)).await.0,
        400,
        "it is no event of GitLab"
    );
    assert_eq!(server.send("POST", "/webhook/nobody", &[("X-Signature", &good)], Some(&body)).await.0, 404);
    assert_eq!(server.send("GET", "/webhook/gitea", &[], None).await.0, 405);
}

#[tokio::test]
async fn the_record_is_read_with_the_token_only() {
    let server = Server::start().await;
    let path = "/v1/record/log?namespace=qa";
    assert_eq!(server.send("GET", path, &[], None).await.0, 401);
    assert_eq!(server.send("GET", path, &[("Authorization", "Bearer guess")], None).await.0, 401);
    let (status, body) = server.send("GET", path, &[("Authorization", "Bearer reader")], None).await;
    assert_eq!((status, body.as_str()), (200, "{\"rows\":[]}"));
    let (status, body) = server.send("GET", "/v1/record/log?x=1", &[("Authorization", "Bearer reader")], None).await;
    assert_eq!((status, body.as_str()), (400, "there is no parameter `x`\n"));
}

#[tokio::test]
async fn requests_to_this_machine_are_refused_unless_allowed() {
    let server = Server::start().await;
    let sender = HttpSender::new(EgressPolicy::default(), Clock::Wall).unwrap();
    for host in [server.address.clone(), server.address.replace("127.0.0.1", "localhost")] {
        let mut query = server.query("GET", "/healthz", &[], None);
        query.url = format!("http://{host}/api/v1/query?query=up");
        let HttpReply::Failed { message, .. } = sender.send(&query).await else { panic!("it was sent to {host}") };
        assert!(message.contains("allowed"), "{host}: {message}");
    }
}
