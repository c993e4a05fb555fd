//! Sends a mail by SMTP (RFC 5321): one conversation a mail, under the same egress policy as HTTP.
//!
//! A mail is a query with the scheme `smtp` or `smtps`: the headers `From` and `To` are the envelope, `Username` and
//! `Password` the credential, the body is the whole message. With `smtp`, TLS begins by STARTTLS where the server offers
//! it; a credential is never given without TLS. What is answered is the code of the last reply.

use std::sync::Arc;

use base64::Engine as _;
use reconcile_core::HttpQuery;
use rustls::pki_types::ServerName;
use rustls_platform_verifier::BuilderVerifierExt as _;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, BufStream};
use tokio::net::TcpStream;

use crate::sender::EgressPolicy;

/// Longest line of a reply.
const LINE_BYTES_MAX: u64 = 4_096;
/// Most lines of a reply.
const LINES_MAX: usize = 100;

/// Whether a URL names a mail server.
pub(crate) fn is_mail(url: &str) -> bool {
    url.starts_with("smtp://") || url.starts_with("smtps://")
}

/// Sends one mail; returns the code and words of the server's last reply.
pub(crate) async fn send(policy: EgressPolicy, query: &HttpQuery) -> Result<(u16, String), String> {
    let (scheme, rest) = query.url.split_once("://").ok_or("bad URL")?;
    let (host, port) = rest.rsplit_once(':').ok_or("a mail server is named as host:port")?;
    let port: u16 = port.parse().map_err(|_| format!("`{port}` is no port"))?;
    let stream = connect(policy, host.trim_matches(['[', ']']), port).await?;
    if scheme == "smtps" {
        let stream = encrypted(stream, host, query.insecure_tls).await?;
        return converse(Conversation::begin(stream, true).await?, query).await;
    }
    let mut plain = Conversation::begin(stream, false).await?;
    let offered = plain.hello().await?;
    if !offered.iter().any(|line| line.eq_ignore_ascii_case("STARTTLS")) {
        return deliver(plain, &offered, query).await;
    }
    plain.ask("STARTTLS", 220).await?;
    let stream = encrypted(plain.stream.into_inner(), host, query.insecure_tls).await?;
    converse(Conversation { stream: BufStream::new(stream), is_encrypted: true }, query).await
}

async fn connect(policy: EgressPolicy, host: &str, port: u16) -> Result<TcpStream, String> {
    let found = tokio::net::lookup_host((host, port)).await.map_err(|_| format!("`{host}` has no address"))?;
    let allowed: Vec<_> = found.filter(|found| policy.allows(found.ip())).collect();
    if allowed.is_empty() {
        return Err(format!("`{host}` has no address that is allowed"));
    }
    TcpStream::connect(allowed.as_slice()).await.map_err(|_| "the connection failed".to_owned())
}

async fn encrypted(
    stream: TcpStream,
    host: &str,
    insecure: bool,
) -> Result<tokio_rustls::client::TlsStream<TcpStream>, String> {
    if insecure {
        return Err("a mail server's certificate is always checked".to_owned());
    }
    let config = rustls::ClientConfig::builder()
        .with_platform_verifier()
        .map_err(|error| format!("TLS could not be set up: {error}"))?
        .with_no_client_auth();
    let name = ServerName::try_from(host.to_owned()).map_err(|_| format!("`{host}` is no name of a server"))?;
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
    connector.connect(name, stream).await.map_err(|error| format!("TLS failed: {error}"))
}

struct Conversation<S> {
    stream: BufStream<S>,
    is_encrypted: bool,
}

async fn converse<S: AsyncRead + AsyncWrite + Unpin>(
    mut conversation: Conversation<S>,
    query: &HttpQuery,
) -> Result<(u16, String), String> {
    let offered = conversation.hello().await?;
    deliver(conversation, &offered, query).await
}

async fn deliver<S: AsyncRead + AsyncWrite + Unpin>(
    mut conversation: Conversation<S>,
    offered: &[String],
    query: &HttpQuery,
) -> Result<(u16, String), String> {
    let header = |name: &str| {
        let found = query.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.expose().as_str()).filter(|value| !value.is_empty())
    };
    if let (Some(user), Some(password)) = (header("Username"), header("Password")) {
        if !conversation.is_encrypted {
            return Err("the server offers no TLS, and a credential is not given without".to_owned());
        }
        conversation.log_in(offered, user, password).await?;
    }
    let from = address(header("From").ok_or("a mail needs a sender")?)?;
    let to = address(header("To").ok_or("a mail needs a recipient")?)?;
    conversation.ask(&format!("MAIL FROM:<{from}>"), 250).await?;
    conversation.ask(&format!("RCPT TO:<{to}>"), 250).await?;
    conversation.ask("DATA", 354).await?;
    let message = query.body.as_ref().map(|body| body.expose().as_str()).unwrap_or_default();
    let (code, lines) = conversation.exchange(&format!("{}.", stuffed(message))).await?;
    // The mail has been taken or refused; how the conversation ends changes nothing.
    let _ = conversation.exchange("QUIT").await;
    Ok((code, lines.join(" ")))
}

/// An address without anything that would end the command that it stands in.
fn address(text: &str) -> Result<&str, String> {
    let bare = text.rsplit_once('<').map_or(text, |(_, rest)| rest.trim_end_matches('>')).trim();
    let is_unfit = |c: char| c.is_whitespace() || matches!(c, '<' | '>');
    match text.chars().any(char::is_control) || bare.chars().any(is_unfit) || bare.is_empty() {
        true => Err(format!("`{}` is no address", text.escape_debug())),
        false => Ok(bare),
    }
}

/// The lines of a message with CRLF, those that begin with a dot with another one before it.
fn stuffed(message: &str) -> String {
    let mut out = String::with_capacity(message.len() + 16);
    for line in message.lines() {
        if line.starts_with('.') {
            out.push('.');
        }
        out.push_str(line);
        out.push_str("\r\n");
    }
    out
}

impl<S: AsyncRead + AsyncWrite + Unpin> Conversation<S> {
    async fn begin(stream: S, is_encrypted: bool) -> Result<Self, String> {
        let mut conversation = Self { stream: BufStream::new(stream), is_encrypted };
        match conversation.reply().await? {
            (220, _) => Ok(conversation),
            (code, lines) => Err(format!("the server greets with {code} {}", lines.join(" "))),
        }
    }

    /// What the server offers.
    async fn hello(&mut self) -> Result<Vec<String>, String> {
        let (code, lines) = self.exchange("EHLO localhost").await?;
        if code == 250 { Ok(lines) } else { Err(format!("EHLO was answered with {code}")) }
    }

    async fn log_in(&mut self, offered: &[String], user: &str, password: &str) -> Result<(), String> {
        let encode = |text: &str| base64::engine::general_purpose::STANDARD.encode(text);
        let ways = offered.iter().find_map(|line| line.to_ascii_uppercase().strip_prefix("AUTH ").map(str::to_owned));
        if ways.is_some_and(|ways| ways.split(' ').any(|way| way == "LOGIN") && !ways.contains("PLAIN")) {
            self.ask("AUTH LOGIN", 334).await?;
            self.ask_secretly(&encode(user), 334).await?;
            return self.ask_secretly(&encode(password), 235).await;
        }
        self.ask_secretly(&format!("AUTH PLAIN {}", encode(&format!("\0{user}\0{password}"))), 235).await
    }

    async fn ask(&mut self, command: &str, wanted: u16) -> Result<(), String> {
        let (code, lines) = self.exchange(command).await?;
        let verb = command.split(' ').next().unwrap_or_default();
        if code == wanted { Ok(()) } else { Err(format!("{verb} was answered with {code} {}", lines.join(" "))) }
    }

    async fn ask_secretly(&mut self, command: &str, wanted: u16) -> Result<(), String> {
        let (code, _) = self.exchange(command).await?;
        if code == wanted { Ok(()) } else { Err(format!("the credential was answered with {code}")) }
    }

    async fn exchange(&mut self, command: &str) -> Result<(u16, Vec<String>), String> {
        let broken = |_| "the connection broke".to_owned();
        self.stream.write_all(format!("{command}\r\n").as_bytes()).await.map_err(broken)?;
        self.stream.flush().await.map_err(broken)?;
        self.reply().await
    }

    async fn reply(&mut self) -> Result<(u16, Vec<String>), String> {
        let mut lines = Vec::new();
        for _ in 0..LINES_MAX {
            let mut line = String::new();
            let read = (&mut self.stream).take(LINE_BYTES_MAX).read_line(&mut line).await;
            if read.map_err(|_| "the connection broke".to_owned())? == 0 {
                return Err("the server hung up".to_owned());
            }
            let line = line.trim_end();
            let (code, rest) = line.split_at_checked(3).ok_or("the reply is no SMTP")?;
            let code: u16 = code.parse().map_err(|_| "the reply is no SMTP".to_owned())?;
            let words: String = rest.chars().skip(1).filter(|c| !c.is_control()).take(500).collect();
            lines.push(words);
            if !rest.starts_with('-') {
                return Ok((code, lines));
            }
        }
        Err("the reply has too many lines".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use object_model::Secret;
    use tokio::net::TcpListener;

    /// A mail server on loopback that answers by the verb, and what it heard.
    async fn server(refuses: &'static str) -> (u16, tokio::task::JoinHandle<Vec<String>>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let heard = tokio::spawn(async move {
            let (stream, _) = listener.accept().await.unwrap();
            let mut stream = BufStream::new(stream);
            let mut heard = Vec::new();
            let mut in_data = false;
            stream.write_all(b"220 hello\r\n").await.unwrap();
            loop {
                stream.flush().await.unwrap();
                let mut line = String::new();
                if stream.read_line(&mut line).await.unwrap_or(0) == 0 {
                    return heard;
                }
                let line = line.trim_end().to_owned();
                heard.push(line.clone());
                let answer = match line.split(' ').next().unwrap() {
                    "." => {
                        in_data = false;
                        "250 queued"
                    }
                    _ if in_data => continue,
                    verb if verb == refuses => "550 no\r\n",
                    "EHLO" => "250-mail\r\n250 SIZE 1000",
                    "DATA" => {
                        in_data = true;
                        "354 go on"
                    }
                    "QUIT" => "221 bye",
                    _ => "250 ok",
                };
                stream.write_all(format!("{}\r\n", answer.trim_end()).as_bytes()).await.unwrap();
            }
        });
        (port, heard)
    }

    fn mail(port: u16, headers: &[(&str, &str)]) -> HttpQuery {
        HttpQuery {
            method: "POST".to_owned(),
            url: format!("smtp://127.0.0.1:{port}"),
            headers: headers.iter().map(|(key, value)| ((*key).to_owned(), Secret::new((*value).to_owned()))).collect(),
            body: Some(Secret::new("Subject: done\n\n.hidden\nbye".to_owned())),
            timeout_ms: 5_000,
            body_bytes_max: 1_000,
            insecure_tls: false,
        }
    }

    const ENVELOPE: [(&str, &str); 2] = [("From", "Sluice <sluice@example.com>"), ("To", "ann@example.com")];
    const LOOPBACK: EgressPolicy = EgressPolicy { allow_loopback: true };

    #[tokio::test]
    async fn a_mail_is_handed_over_line_by_line() {
        let (port, heard) = server("").await;
        assert_eq!(send(LOOPBACK, &mail(port, &ENVELOPE)).await, Ok((250, "queued".to_owned())));
        assert_eq!(
            heard.await.unwrap(),
            [
                "EHLO localhost",
                "MAIL FROM:<sluice@example.com>",
                "RCPT TO:<ann@example.com>",
                "DATA",
                "Subject: done",
                "",
                "..hidden",
                "bye",
                ".",
                "QUIT"
            ]
        );
    }

    #[tokio::test]
    async fn a_refusal_is_told_and_a_credential_is_not_given_in_the_open() {
        let (port, _) = server("RCPT").await;
        let error = send(LOOPBACK, &mail(port, &ENVELOPE)).await.unwrap_err();
        assert_eq!(error, "RCPT was answered with 550 no");
        let (port, heard) = server("").await;
        let headers = [ENVELOPE[0], ENVELOPE[1], ("Username", "u"), ("Password", "p")];
        let error = send(LOOPBACK, &mail(port, &headers)).await.unwrap_err();
        assert!(error.contains("a credential is not given"), "{error}");
        assert_eq!(heard.await.unwrap(), ["EHLO localhost"]);
        let (port, _) = server("").await;
        let error = send(EgressPolicy::default(), &mail(port, &ENVELOPE)).await.unwrap_err();
        assert_eq!(error, "`127.0.0.1` has no address that is allowed");
    }

    #[test]
    fn an_address_can_not_bring_a_command_with_it() {
        assert_eq!(address("Ann <ann@example.com>"), Ok("ann@example.com"));
        assert!(address("a@b\r\nRCPT TO:<c@d>").is_err());
        assert!(address("").is_err());
    }
}
