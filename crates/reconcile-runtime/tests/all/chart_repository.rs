//! Charts of repositories and registries, over a server on loopback.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use api::{ChartReference, RenderSettings};
use git_source::HttpOptions;
use manifest_render::helm::WantedChart;
use reconcile_runtime::fetch_chart;
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::chart::Shop;

/// Answers GET requests from a table, one connection after the other, for as long as it is held.
struct Server {
    address: std::net::SocketAddr,
    pages: Arc<Mutex<BTreeMap<String, Vec<u8>>>>,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Server {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (pages, asked) = (Arc::<Mutex<BTreeMap<String, Vec<u8>>>>::default(), Arc::<Mutex<Vec<String>>>::default());
        let (served, noted) = (pages.clone(), asked.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                answer(stream, &served, &noted);
            }
        });
        Self { address, pages, asked }
    }

    fn put(&self, path: &str, content: impl Into<Vec<u8>>) {
        self.pages.lock().unwrap().insert(path.to_owned(), content.into());
    }

    fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.asked.lock().unwrap())
    }
}

fn answer(mut stream: TcpStream, pages: &Mutex<BTreeMap<String, Vec<u8>>>, asked: &Mutex<Vec<String>>) {
    let mut request = Vec::new();
    let mut byte = [0_u8; 1];
    while !request.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|count| count == 1) {
        request.push(byte[0]);
    }
    let text = String::from_utf8_lossy(&request).into_owned();
    let path = text.split(' ').nth(1).unwrap_or_default().to_owned();
    let is_known = text.to_ascii_lowercase().contains("authorization: bearer anybody");
    asked.lock().unwrap().push(path.clone());
    let page = pages.lock().unwrap().get(&path).cloned();
    let (status, headers, body) = match page {
        Some(to) if to.starts_with(b"-> ") => {
            let to = String::from_utf8_lossy(&to).trim_start_matches("->").to_owned();
            ("302 Found", format!("Location: {to}\r\n"), Vec::new())
        }
        _ if path.starts_with("/v2/guarded/") && !is_known => {
            let host =
                text.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("host: ").map(str::to_owned));
            let realm = format!("http://{}/token", host.unwrap_or_default());
            ("401 Unauthorized", format!("WWW-Authenticate: Bearer realm=\"{realm}\",service=\"here\"\r\n"), Vec::new())
        }
        Some(body) => ("200 OK", String::new(), body),
        None => ("404 Not Found", String::new(), Vec::new()),
    };
    let head = format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {}\r\nConnection: close\r\n\r\n", body.len());
    let _ = stream.write_all(head.as_bytes());
    let _ = stream.write_all(&body);
}

/// A packed chart with one ConfigMap.
fn packed(name: &str, version: &str, data: &str) -> Vec<u8> {
    let about = format!("apiVersion: v2\nname: {name}\nversion: {version}\n");
    let template = format!("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}\ndata:\n  {data}\n");
    let mut archive = tar::Builder::new(flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast()));
    for (path, content) in [("Chart.yaml", about), ("templates/all.yaml", template)] {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        archive.append_data(&mut header, format!("{name}/{path}"), content.as_bytes()).unwrap();
    }
    archive.into_inner().unwrap().finish().unwrap()
}

fn digest(content: &[u8]) -> String {
    format!("sha256:{}", Sha256::digest(content).iter().map(|byte| format!("{byte:02x}")).collect::<String>())
}

fn wanted(repository: &str, version: &str, digest: &str) -> WantedChart {
    let [repository, version, digest] = [repository, version, digest].map(str::to_owned);
    WantedChart { repository, name: "db".to_owned(), version, digest }
}

/// An index with two versions, one of which lies elsewhere.
fn repository(server: &Server) -> Vec<u8> {
    let chart = packed("db", "1.4.0", "from: repository");
    let index = format!(
        "apiVersion: v1\nentries:\n  db:\n  - version: 1.4.0\n    urls: [db-1.4.0.tgz]\n    digest: {}\n  - version: 1.5.0\n    urls: [http://{}/moved.tgz]\n    digest: \"00\"\n",
        digest(&chart).trim_start_matches("sha256:"),
        server.address
    );
    server.put("/charts/index.yaml", index);
    server.put("/charts/db-1.4.0.tgz", chart.clone());
    server.put("/moved.tgz", "-> /charts/db-1.4.0.tgz".to_owned());
    chart
}

#[test]
fn a_chart_repository_gives_the_version_that_fits_and_its_content_has_to_be_the_one_that_was_asked_for() {
    let server = Server::start();
    let chart = repository(&server);
    let url = format!("http://{}/charts", server.address);
    let options = HttpOptions::default();
    let fetched = fetch_chart(&wanted(&url, "~1.4", ""), &options).unwrap();
    assert_eq!((fetched.version.as_str(), &fetched.digest, &fetched.data[..]), ("1.4.0", &digest(&chart), &chart[..]));
    assert!(fetch_chart(&wanted(&url, "1.4.0", &digest(&chart)), &options).is_ok());
    for (version, pin, message) in [
        ("1.4.0", format!("sha256:{}", "0".repeat(64)), "is wanted"),
        ("1.5.0", String::new(), "is wanted"),
        ("2", String::new(), "it has no version `2` of chart `db`"),
    ] {
        let error = fetch_chart(&wanted(&url, version, &pin), &options).unwrap_err().to_string();
        assert!(error.contains(message), "{version}: {error}");
    }
    let gone = fetch_chart(&wanted(&format!("http://{}/none", server.address), "1", ""), &options).unwrap_err();
    assert!(gone.to_string().ends_with("/none/index.yaml does not exist"), "{gone}");
    let plain = fetch_chart(&wanted("http://charts.example.com", "1", ""), &options).unwrap_err();
    assert!(plain.to_string().contains("it is not https"), "{plain}");
}

/// A registry with one chart in two versions below a folder.
fn registry(server: &Server, folder: &str) -> (Vec<u8>, Vec<u8>) {
    let chart = packed("db", "1.4.0+b1", "from: registry");
    let layer = json!({"mediaType": "application/vnd.cncf.helm.chart.content.v1.tar+gzip", "digest": digest(&chart), "size": chart.len()});
    let manifest = json!({"schemaVersion": 2, "layers": [layer]}).to_string().into_bytes();
    server.put(&format!("/v2/{folder}/db/tags/list"), json!({"tags": ["1.3.0", "1.4.0_b1", "latest"]}).to_string());
    server.put(&format!("/v2/{folder}/db/manifests/1.4.0_b1"), manifest.clone());
    server.put(&format!("/v2/{folder}/db/blobs/{}", digest(&chart)), chart.clone());
    server.put("/token?service=here", json!({"token": "anybody"}).to_string());
    (chart, manifest)
}

#[test]
fn a_registry_gives_a_tag_or_the_latest_of_a_range_also_for_a_token_that_everybody_gets() {
    let server = Server::start();
    for folder in ["open", "guarded"] {
        let (chart, manifest) = registry(&server, folder);
        let url = format!("oci://{}/{folder}", server.address);
        for (version, pin) in [("^1.3", String::new()), ("1.4.0+b1", digest(&chart)), ("1.4.0+b1", digest(&manifest))] {
            let fetched = fetch_chart(&wanted(&url, version, &pin), &HttpOptions::default()).unwrap();
            assert_eq!((fetched.version.as_str(), &fetched.data[..]), ("1.4.0+b1", &chart[..]), "{folder} {version}");
        }
        let other = format!("sha256:{}", "1".repeat(64));
        assert!(fetch_chart(&wanted(&url, "1.4.0+b1", &other), &HttpOptions::default()).is_err());
    }
    let asked = server.asked();
    assert!(asked.contains(&"/token?service=here".to_owned()));
    assert!(!asked.iter().any(|path| path.contains("+b1")), "a tag has no plus sign");
}

#[tokio::test(start_paused = true)]
async fn a_config_renders_a_chart_of_a_repository_with_values_of_its_own_files() {
    let server = Server::start();
    let chart = packed("db", "1.4.0", "size: {{ .Values.size | quote }}");
    server.put("/charts/index.yaml", "apiVersion: v1\nentries:\n  db:\n  - {version: 1.4.0, urls: [db.tgz]}\n");
    server.put("/charts/db.tgz", chart.clone());
    let shop = Shop::new(&[("web/qa.yaml", "size: large\n".to_owned())]);
    let reference = ChartReference {
        repository: format!("http://{}/charts", server.address),
        name: "db".to_owned(),
        version: "1".to_owned(),
        digest: digest(&chart),
    };
    let settings = RenderSettings {
        chart: Some(reference),
        values_files: vec!["qa.yaml".to_owned()],
        ..RenderSettings::default()
    };
    let refused = shop.render(&settings).await.unwrap_err();
    assert_eq!(refused.reason, "ChartNotAllowed");
    shop.remotes.allow_charts(HttpOptions::default());
    assert_eq!(shop.data(&settings).await, json!({"size": "large"}));
    server.asked();
    assert_eq!(shop.data(&settings).await, json!({"size": "large"}));
    assert_eq!(server.asked(), Vec::<String>::new(), "a chart with a digest is fetched once");
}

#[tokio::test(start_paused = true)]
async fn a_dependency_that_is_not_vendored_is_fetched_in_the_version_of_the_lock() {
    let server = Server::start();
    repository(&server);
    let about = format!(
        "apiVersion: v2\nname: web\nversion: 1.0.0\ndependencies:\n- name: db\n  version: \"^1.0.0\"\n  repository: http://{}/charts\n",
        server.address
    );
    let shop = Shop::new(&[
        ("web/Chart.yaml", about),
        (
            "web/Chart.lock",
            "dependencies:\n- name: db\n  repository: x\n  version: 1.4.0\ndigest: sha256:0\n".to_owned(),
        ),
    ]);
    shop.remotes.allow_charts(HttpOptions::default());
    let failure = shop.render(&RenderSettings::default()).await.unwrap_err();
    assert!(failure.message.contains("the lock file (Chart.lock) is out of sync"), "{}", failure.message);
    let about = format!(
        "apiVersion: v2\nname: web\nversion: 1.0.0\ndependencies:\n- name: db\n  version: \"~1.4\"\n  repository: http://{}/charts\n",
        server.address
    );
    let shop = Shop::new(&[("web/Chart.yaml", about)]);
    shop.remotes.allow_charts(HttpOptions::default());
    assert_eq!(shop.data(&RenderSettings::default()).await, json!({"from": "repository"}));
    let rendered = shop.render(&RenderSettings::default()).await.unwrap();
    assert!(rendered.read.iter().all(|path| !path.ends_with(".tgz")), "{:?}", rendered.read);
}
