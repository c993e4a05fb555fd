//! Signatures that the real git and ssh-keygen make, and what becomes of them when somebody meddles.

use std::path::Path;
use std::process::Command;

use git_source::{
    AllowedSigners, GitId, GitObject, ObjectKind, ObjectSource, Repository, SignatureError, verify_commit, verify_tag,
};
use object_model::Timestamp;

use crate::support::commit;
use crate::with_git::{git, git_output, has_git, skipped};

fn now() -> Timestamp {
    "2026-06-01T00:00:00Z".parse().unwrap()
}

/// Makes a key pair; its public line, or nothing where ssh-keygen is missing.
fn make_key(folder: &Path, name: &str, kind: &str, bits: &str) -> Option<String> {
    let path = folder.join(name);
    let mut command = Command::new("ssh-keygen");
    command.args(["-q", "-t", kind, "-N", "", "-C", &format!("{name}@example.com"), "-f"]).arg(&path);
    if !bits.is_empty() {
        command.args(["-b", bits]);
    }
    let Ok(output) = command.output() else {
        skipped("there is no ssh-keygen");
        return None;
    };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(std::fs::read_to_string(path.with_extension("pub")).unwrap())
}

fn sign_with(folder: &Path, key: &Path, arguments: &[&str]) -> String {
    let key = format!("user.signingkey={}", key.display());
    let mut all = vec!["-c", "gpg.format=ssh", "-c", key.as_str()];
    all.extend(arguments);
    git(folder, &all)
}

struct Signers {
    folder: tempfile::TempDir,
    public: Vec<(String, String)>,
}

/// A checkout with one signed commit and one signed tag for each kind of key.
fn signed() -> Option<Signers> {
    if !has_git() {
        return None;
    }
    let folder = tempfile::tempdir().unwrap();
    git(folder.path(), &["init", "-q", "repo"]);
    let repo = folder.path().join("repo");
    let mut public = Vec::new();
    for (name, kind, bits) in
        [("ed", "ed25519", ""), ("p256", "ecdsa", "256"), ("p384", "ecdsa", "384"), ("rsa", "rsa", "2048")]
    {
        let line = make_key(folder.path(), name, kind, bits)?;
        let key = folder.path().join(name);
        sign_with(&repo, &key, &["commit", "-q", "-S", "--allow-empty", "-m", name]);
        sign_with(&repo, &key, &["tag", "-s", "-m", "release", &format!("v-{name}")]);
        public.push((name.to_owned(), line));
    }
    git(&repo, &["commit", "-q", "--allow-empty", "-m", "unsigned"]);
    Some(Signers { folder, public })
}

fn allowed(lines: &str) -> AllowedSigners {
    let (signers, problems) = AllowedSigners::parse(lines);
    assert_eq!(problems, Vec::<String>::new());
    signers
}

#[test]
fn case_39_signatures_by_git_are_verified_for_every_kind_of_key() {
    let Some(Signers { folder, public }) = signed() else { return };
    let repo = folder.path().join("repo");
    let repository = Repository::open(&repo).unwrap();
    let all: String = public.iter().map(|(_, line)| line.as_str()).collect();
    let signers = allowed(&all);
    for (name, line) in &public {
        let tag = format!("refs/tags/v-{name}");
        let id = GitId::parse(&git(&repo, &["rev-parse", &format!("{tag}^{{commit}}")])).unwrap();
        let by = format!("{name}@example.com");
        assert_eq!(verify_commit(&repository, id, &signers, now()).unwrap().by, by);
        assert_eq!(verify_tag(&repository, &tag, id, &signers, now()).unwrap().by, by);
        // Everybody but the one who signed.
        let others: String =
            public.iter().filter(|(other, _)| other != name).map(|(_, other)| other.as_str()).collect();
        let error = verify_commit(&repository, id, &allowed(&others), now()).unwrap_err();
        assert!(matches!(error, SignatureError::UnknownKey { .. }), "{error}");
        let expired = format!("bot valid-before=\"20260501\" {line}");
        let error = verify_commit(&repository, id, &allowed(&expired), now()).unwrap_err();
        assert!(matches!(error, SignatureError::NotValidNow { .. }), "{error}");
        let for_files = format!("bot namespaces=\"file\" {line}");
        assert!(verify_commit(&repository, id, &allowed(&for_files), now()).is_err());
    }
    let head = GitId::parse(&git(&repo, &["rev-parse", "HEAD"])).unwrap();
    let error = verify_commit(&repository, head, &signers, now()).unwrap_err();
    assert_eq!(error.to_string(), format!("commit {head} is not signed"));
}

#[test]
fn case_39_a_signature_of_another_commit_namespace_or_tag_is_refused() {
    let Some(Signers { folder, public }) = signed() else { return };
    let repo = folder.path().join("repo");
    let mut repository = Repository::open(&repo).unwrap();
    let signers = allowed(&public[0].1);
    let id = GitId::parse(&git(&repo, &["rev-parse", "v-ed^{commit}"])).unwrap();
    let signed = String::from_utf8(repository.object(&id).unwrap().bytes().to_vec()).unwrap();
    let mut insert = |text: &str| {
        let object = GitObject::new(ObjectKind::Commit, text.as_bytes()).unwrap();
        let id = object.id();
        repository.insert(object).unwrap();
        id
    };
    let other_message = insert(&signed.replace("\n\ned\n", "\n\neddy\n"));
    let at = signed.find("gpgsig ").unwrap();
    let end = signed.find("\n\n").unwrap() + 1;
    let header = &signed[at..end];
    let twice = insert(&signed.replacen(header, &format!("{header}{header}"), 1));
    let beside = insert(&signed.replacen("gpgsig ", "gpgsig-sha256 x\ngpgsig ", 1));
    let armoured = |text: &str| {
        let lines: Vec<String> = text.trim().lines().map(|line| format!(" {line}")).collect();
        signed.replacen(header, &format!("gpgsig{}\n", lines.join("\n")), 1)
    };
    let payload = signed.replacen(header, "", 1);
    std::fs::write(folder.path().join("payload"), &payload).unwrap();
    let sign_file = |namespace: &str| {
        let _ = std::fs::remove_file(folder.path().join("payload.sig"));
        let output = Command::new("ssh-keygen")
            .args(["-q", "-Y", "sign", "-n", namespace, "-f"])
            .arg(folder.path().join("ed"))
            .arg(folder.path().join("payload"))
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        std::fs::read_to_string(folder.path().join("payload.sig")).unwrap()
    };
    let for_files = insert(&armoured(&sign_file("file")));
    let again = insert(&armoured(&sign_file("git")));
    let by_pgp = insert(&armoured("-----BEGIN PGP SIGNATURE-----\n\nAAAA\n-----END PGP SIGNATURE-----"));
    let cut = insert(&armoured("-----BEGIN SSH SIGNATURE-----\nU1NIU0lHAAAAAQ==\n-----END SSH SIGNATURE-----"));
    let verify = |id: GitId| verify_commit(&repository, id, &signers, now()).map_err(|error| error.to_string());
    assert_eq!(verify(again).unwrap().by, "ed@example.com", "the file that was signed is what git signs");
    for (id, why) in [
        (other_message, format!("the signature of commit {other_message} does not match its content")),
        (twice, format!("the signature of commit {twice} is malformed: there are two of them")),
        (beside, format!("the signature of commit {beside} is malformed: there is one of another kind beside it")),
        (
            for_files,
            format!("the signature of commit {for_files} is malformed: it was made for something else than Git"),
        ),
        (by_pgp, format!("commit {by_pgp} has a signature by OpenPGP, which is not verified here")),
        (cut, format!("the signature of commit {cut} is malformed: it is cut off")),
    ] {
        assert_eq!(verify(id).unwrap_err(), why);
    }
    // A signed tag that was put under the name of a newer release.
    git(&repo, &["update-ref", "refs/tags/v9", &git(&repo, &["rev-parse", "refs/tags/v-ed"])]);
    git(&repo, &["tag", "light", "HEAD"]);
    let repository = Repository::open(&repo).unwrap();
    let error = verify_tag(&repository, "refs/tags/v9", id, &signers, now()).unwrap_err();
    assert_eq!(error.to_string(), "the signature of tag v9 is malformed: it is of a tag of another name");
    let head = GitId::parse(&git(&repo, &["rev-parse", "HEAD"])).unwrap();
    let error = verify_tag(&repository, "refs/tags/light", head, &signers, now()).unwrap_err();
    assert_eq!(error.to_string(), "tag light is not signed");
    assert!(!git_output(&repo, &["verify-tag", "light"]).status.success(), "git agrees");
}

#[test]
fn case_39_nobody_has_signed_where_nobody_may() {
    let mut repository = Repository::in_memory();
    let head = commit(&mut repository, None, 1, &["a=1"]);
    let error = verify_commit(&repository, head, &AllowedSigners::default(), now()).unwrap_err();
    assert!(matches!(error, SignatureError::Missing { .. }), "{error}");
}
