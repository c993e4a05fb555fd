//! The API over a real connection.

use std::sync::{Arc, Mutex};

use sim_traffic::{Traffic, serve};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::objects::second;

async fn exchange(address: std::net::SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn a_client_asks_over_http() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = serve(listener, Arc::new(Mutex::new(Traffic::new(1))), || second(0.0)).unwrap();
    let body = "query=1%2B1";
    let post = format!(
        "POST /api/v1/query HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-type: application/x-www-form-urlencoded\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let answer = exchange(server.address(), &post).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(
        answer.ends_with(r#"{"data":{"result":[1767225600,"2"],"resultType":"scalar"},"status":"success"}"#),
        "{answer}"
    );
    let ready = exchange(server.address(), "GET /-/ready HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await;
    assert!(ready.ends_with("Prometheus Server is Ready.\n"), "{ready}");
}

#[tokio::test]
async fn an_open_address_is_refused() {
    let listener = TcpListener::bind("0.0.0.0:0").await.unwrap();
    let refused = serve(listener, Arc::new(Mutex::new(Traffic::new(1))), || second(0.0)).unwrap_err();
    assert!(refused.to_string().contains("only loopback addresses are allowed"), "{refused}");
}

#[tokio::test]
async fn a_body_without_end_is_cut_off() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = serve(listener, Arc::new(Mutex::new(Traffic::new(1))), || second(0.0)).unwrap();
    let post = "POST /api/v1/query HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: 99999999\r\n\r\n";
    let answer = exchange(server.address(), post).await;
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
}
