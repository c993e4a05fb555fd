//! A source whose commits have to be signed: what is followed, what is refused, and that there is no way back.

use api::{VerifyMode, VerifySettings};
use git_source::{GitId, GitObject, ObjectKind, ObjectSource, RefUpdate};
use reconcile_core::{Answer, FetchSource, Question};
use serde_json::json;

use crate::git::{Fleet, URL};

/// A line of a key whose owner signs nothing here.
const STRANGER: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGJlZWVlZWVlZWVlZWVlZWVlZWVlZWVlZWVlZWVlZWVl stranger@example.com";

/// Signs with the real ssh-keygen; `None` where there is none.
struct Signer {
    folder: tempfile::TempDir,
    public: String,
}

impl Signer {
    fn new() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        let made = std::process::Command::new("ssh-keygen")
            .args(["-q", "-t", "ed25519", "-N", "", "-C", "ada@example.com", "-f"])
            .arg(&path)
            .output();
        if !made.is_ok_and(|output| output.status.success()) {
            eprintln!("skipped: there is no ssh-keygen");
            return None;
        }
        let public = std::fs::read_to_string(path.with_extension("pub")).unwrap();
        Some(Self { folder, public })
    }

    fn sign(&self, payload: &[u8]) -> String {
        let file = self.folder.path().join("payload");
        let signature = self.folder.path().join("payload.sig");
        let _ = std::fs::remove_file(&signature);
        std::fs::write(&file, payload).unwrap();
        let output = std::process::Command::new("ssh-keygen")
            .args(["-q", "-Y", "sign", "-n", "git", "-f"])
            .arg(self.folder.path().join("key"))
            .arg(&file)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        std::fs::read_to_string(signature).unwrap()
    }

    /// Puts a signature into the head of `main`.
    fn sign_head(&self, fleet: &Fleet) -> String {
        let head = fleet.remote.head("main").unwrap();
        let plain = fleet.remote.repository().object(&head).unwrap().bytes().to_vec();
        let text = String::from_utf8(plain).unwrap();
        let lines: Vec<String> = self.sign(text.as_bytes()).trim().lines().map(|line| format!(" {line}")).collect();
        let signed = text.replacen("\n\n", &format!("\ngpgsig{}\n\n", lines.join("\n")), 1);
        let object = GitObject::new(ObjectKind::Commit, signed.into_bytes()).unwrap();
        let id = object.id();
        fleet.remote.with_repository(|repository| repository.insert(object)).unwrap();
        move_main(fleet, id);
        id.to_string()
    }
}

fn move_main(fleet: &Fleet, to: GitId) {
    let old = fleet.remote.head("main");
    let update = RefUpdate { name: "refs/heads/main".into(), old, new: Some(to) };
    fleet.remote.with_repository(|repository| repository.update_refs(&[update])).unwrap();
}

fn source() -> FetchSource {
    let verify = VerifySettings { mode: VerifyMode::Head, keys_secret: "signers".into() };
    FetchSource { verify: Some(("qa".into(), verify)), ..FetchSource::branch(URL, "main") }
}

fn set_keys(fleet: &Fleet, lines: &str) {
    use base64::Engine as _;
    let data = base64::engine::general_purpose::STANDARD.encode(lines);
    let body = json!({"metadata": {"name": "signers"}, "data": {"allowed_signers": data}});
    if fleet.world.has("secrets", "qa", "signers") {
        fleet.world.merge("secrets", "qa", "signers", body);
    } else {
        fleet.world.create("namespaces", "", json!({"metadata": {"name": "qa"}}));
        fleet.world.create("secrets", "qa", body);
    }
}

#[tokio::test(start_paused = true)]
async fn case_39_only_commits_by_allowed_signers_are_followed_and_only_forward() {
    let Some(signer) = Signer::new() else { return };
    let fleet = Fleet::new();
    let fetch = async || fleet.ask(Question::Fetch(source())).await;
    let Answer::Failed(failure) = fetch().await else { panic!("there are no keys yet") };
    assert_eq!(failure.reason, "CredentialMissing");

    set_keys(&fleet, &signer.public);
    let Answer::Failed(failure) = fetch().await else { panic!("nobody signed the first commit") };
    assert_eq!(failure.reason, "SignatureMissing");

    let first = signer.sign_head(&fleet);
    let Answer::Head(head) = fetch().await else { panic!("it is signed") };
    assert_eq!((head.commit.as_str(), head.signer.as_deref()), (first.as_str(), Some("ada@example.com")));

    fleet.commit("By nobody", &[git_source::Edit::put("qa/web.yaml", "a: 1\n")]);
    let Answer::Head(head) = fetch().await else { panic!("the last good one serves") };
    assert_eq!((&head.commit, head.failure.unwrap().reason.as_str()), (&first, "SignatureMissing"));

    let second = signer.sign_head(&fleet);
    let Answer::Head(head) = fetch().await else { panic!("it is signed") };
    assert_eq!((&head.commit, head.failure), (&second, None));

    // The older commit is signed, too, and yet it is not followed back.
    move_main(&fleet, GitId::parse(&first).unwrap());
    let Answer::Head(head) = fetch().await else { panic!("the last good one serves") };
    let failure = head.failure.unwrap();
    assert_eq!((&head.commit, failure.reason.as_str()), (&second, "SignatureInvalid"));
    assert!(failure.message.contains("signed commits are followed forward only"), "{}", failure.message);

    move_main(&fleet, GitId::parse(&second).unwrap());
    set_keys(&fleet, STRANGER);
    let Answer::Head(head) = fetch().await else { panic!("the last good one serves") };
    assert_eq!(head.failure.unwrap().reason, "SignatureInvalid", "who may sign was changed");
}
