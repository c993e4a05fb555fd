//! The HTTP listener and the service, spoken to without a client library.

use sim_cluster::{Clock, Cluster, Handle, User};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tower_service::Service;

fn handle() -> Handle {
    Handle::new(Cluster::default(), Clock::tokio_from("2026-11-22T07:00:00Z".parse().unwrap()))
}

#[tokio::test]
async fn the_listener_speaks_http_and_keeps_the_connection() {
    let handle = handle();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = handle.clone();
    let task = tokio::spawn(async move { server.serve(listener).await });
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    for _ in 0..2 {
        stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: sim\r\n\r\n").await.unwrap();
        let mut answer = vec![0; 4096];
        let length = stream.read(&mut answer).await.unwrap();
        let text = String::from_utf8_lossy(&answer[..length]).into_owned();
        assert!(text.starts_with("HTTP/1.1 200 OK") && text.ends_with("\r\n\r\nok"), "{text}");
    }
    let large = format!(
        "POST /api/v1/namespaces/default/configmaps HTTP/1.1\r\nhost: sim\r\ncontent-length: {}\r\n\r\n",
        4 << 20
    );
    stream.write_all(large.as_bytes()).await.unwrap();
    let body = vec![b' '; 4 << 20];
    let (mut reader, mut writer) = stream.into_split();
    let sender = tokio::spawn(async move { writer.write_all(&body).await });
    let mut answer = vec![0; 64];
    let length = reader.read(&mut answer).await.unwrap();
    assert!(String::from_utf8_lossy(&answer[..length]).starts_with("HTTP/1.1 413"));
    sender.abort();
    task.abort();
}

#[tokio::test(start_paused = true)]
async fn the_service_answers_as_its_user_and_streams_watches() {
    use http_body_util::{BodyExt, Empty};
    let handle = handle();
    handle.with(|cluster| cluster.set_rbac(true));
    let get = |target: &str| http::Request::get(target).body(Empty::<bytes::Bytes>::new()).unwrap();
    let mut jane = handle.service_as(User::new("jane"));
    assert_eq!(jane.call(get("/api/v1/pods")).await.unwrap().status(), 403);
    let mut admin = handle.service();
    let target = "/api/v1/namespaces?watch=1&resourceVersion=0&timeoutSeconds=5";
    let body = admin.call(get(target)).await.unwrap().into_body().collect().await.unwrap().to_bytes();
    let lines: Vec<&[u8]> = body.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).collect();
    assert_eq!(lines.len(), 4, "one event for each default namespace");
}
