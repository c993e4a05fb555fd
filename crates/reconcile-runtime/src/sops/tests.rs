//! Files written here as SOPS writes them, read back, and refused once anything in them is changed.

use super::*;
use age::tests::{identity, seal};

const MODIFIED: &str = "2026-01-01T00:00:00Z";

fn cipher() -> Cipher {
    Cipher::new_from_slice(&[1; 32]).unwrap()
}

fn sealed(plain: &str, place: &str, kind: &str) -> String {
    let nonce = [4; 32];
    let payload = Payload { msg: plain.as_bytes(), aad: place.as_bytes() };
    let all = cipher().encrypt(&Nonce::<U32>::try_from(nonce.as_slice()).unwrap(), payload).unwrap();
    let (data, tag) = all.split_at(all.len() - 16);
    let code = |bytes: &[u8]| base64::engine::general_purpose::STANDARD.encode(bytes);
    format!("ENC[AES256_GCM,data:{},iv:{},tag:{},type:{kind}]", code(data), code(&nonce), code(tag))
}

/// The part `sops` for content whose values, in their order, are these.
fn metadata(hashed: &str, more: &str) -> String {
    let (own, _) = identity();
    let armour: String = seal(&own, &[1; 32]).lines().map(|line| format!("            {line}\n")).collect();
    let sum: String = digest(&SHA512, hashed.as_bytes()).as_ref().iter().map(|byte| format!("{byte:02X}")).collect();
    let mac = sealed(&sum, MODIFIED, "str");
    format!(
        "sops:\n    kms: []\n    age:\n        - recipient: age1x\n          enc: |\n{armour}    lastmodified: \"{MODIFIED}\"\n    mac: {mac}\n    {more}\n    version: 3.9.0\n"
    )
}

fn keys() -> SopsKeys {
    let text = format!("# a comment\n{}\n", identity().1);
    SopsKeys::parse(&BTreeMap::from([("main.agekey".to_owned(), Secret::new(text))])).unwrap()
}

/// A Secret with texts, a number, a list, comments in both forms and values that are not encrypted.
fn file() -> String {
    let comment = sealed(" who knows this", "stringData:", "comment");
    let body = format!(
        "apiVersion: v1\nkind: Secret\nmetadata:\n    name: db\n    # plain words\n    generation: 3\nstringData:\n    #{comment}\n    \
         password: {}\n    users:\n        - {}\n        - {}\n    port: {}\n    empty: \"\"\n    on: {}\n",
        sealed("hunter2", "stringData:password:", "str"),
        sealed("ann", "stringData:users:", "str"),
        sealed("bob", "stringData:users:", "str"),
        sealed("5432", "stringData:port:", "int"),
        sealed("True", "stringData:on:", "bool"),
    )
    .replace("    on:", "    active:")
    .replace(&sealed("True", "stringData:on:", "bool"), &sealed("True", "stringData:active:", "bool"));
    format!("{body}{}", metadata("v1Secretdb3hunter2annbob5432True", "unencrypted_suffix: _unencrypted"))
}

fn read(path: &str, text: &str) -> Result<Decrypted, SopsError> {
    decrypt(path, text.as_bytes(), Some(&keys())).unwrap()
}

#[test]
fn a_file_is_read_back_with_its_types_and_without_its_part_sops() {
    let decrypted = read("qa/db.yaml", &file()).unwrap();
    let documents = yaml::parse(&decrypted.content).unwrap();
    assert_eq!(
        documents[0].value,
        serde_json::json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "db", "generation": 3},
            "stringData": {"password": "hunter2", "users": ["ann", "bob"], "port": 5432, "empty": "", "active": true},
        })
    );
    assert!(decrypted.texts.contains(&"hunter2".to_owned()) && !decrypted.texts.contains(&"db".to_owned()));
}

#[test]
fn json_is_read_back_as_well() {
    let (own, _) = identity();
    let sum: String = digest(&SHA512, b"xhunter2").as_ref().iter().map(|byte| format!("{byte:02X}")).collect();
    let text = serde_json::json!({
        "b": sealed("hunter2", "b:", "str"), "a": "x",
        "sops": {"age": [{"recipient": "age1x", "enc": seal(&own, &[1; 32])}], "lastmodified": MODIFIED, "mac": sealed(&sum, MODIFIED, "str")},
    });
    let text = text.to_string().replacen("{\"a\":\"x\",\"b\"", "{\"a\":\"x\",\n\"b\"", 1);
    assert_eq!(read("a.json", &text).unwrap().content, br#"{"a":"x","b":"hunter2"}"#);
}

#[test]
fn what_was_changed_moved_or_taken_out_is_refused() {
    let good = file();
    let password = sealed("hunter2", "stringData:password:", "str");
    let ann = sealed("ann", "stringData:users:", "str");
    for (bad, error) in [
        (good.replace("name: db", "name: other"), SopsError::Mac),
        (good.replace("generation: 3", "generation: 4"), SopsError::Mac),
        (good.replace(&format!("        - {ann}\n"), ""), SopsError::Mac),
        (good.replace(&password, "changed"), SopsError::Mac),
        (good.replace("password:", "passwort:"), SopsError::Value("stringData.passwort".to_owned())),
        (good.replace(&password, &ann), SopsError::Value("stringData.password".to_owned())),
        (good.replace("2026-01-01", "2026-01-02"), SopsError::Mac),
        (good.replace("version: 3.9.0", "mac_only_encrypted: true"), SopsError::Mac),
        (good.replace("version: 3.9.0", "shamir_threshold: 2"), {
            SopsError::Unsupported("its key is shared among groups of keys")
        }),
    ] {
        assert_eq!(read("a.yaml", &bad).err(), Some(error));
    }
    let swapped = good.replacen(&ann, "@", 1);
    let bob = sealed("bob", "stringData:users:", "str");
    let swapped = swapped.replacen(&bob, &ann, 1).replacen('@', &bob, 1);
    assert_eq!(read("a.yaml", &swapped).err(), Some(SopsError::Mac), "the order counts");
}

#[test]
fn without_its_key_a_file_is_an_error_and_never_rendered_as_it_stands() {
    let none = decrypt("a.yaml", file().as_bytes(), None).unwrap();
    assert_eq!(none.err(), Some(SopsError::NoKeys));
    assert!(decrypt("a.yaml", b"kind: ConfigMap\n", Some(&keys())).is_none());
    assert!(decrypt("a.md", file().as_bytes(), Some(&keys())).is_none());
    let values = |name: &str, text: &str| BTreeMap::from([(name.to_owned(), Secret::new(text.to_owned()))]);
    assert_eq!(SopsKeys::parse(&values("key.txt", "x")).unwrap_err(), "it has no age key (an entry `*.agekey`)");
    let error = SopsKeys::parse(&values("main.agekey", "hunter2")).unwrap_err();
    assert_eq!(error, "`main.agekey` has a line that is no age key");
    assert!(!format!("{:?}", keys()).contains("AGE-SECRET"), "{:?}", keys());
}

/// `cargo xtask oracle sops` writes them.
#[test]
fn what_the_real_sops_encrypted_is_read_back() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/sops");
    let key = std::fs::read_to_string(folder.join("main.agekey")).unwrap();
    let keys = SopsKeys::parse(&BTreeMap::from([("main.agekey".to_owned(), Secret::new(key))])).unwrap();
    let mut read = 0;
    for entry in std::fs::read_dir(folder.join("encrypted")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        let encrypted = std::fs::read(&path).unwrap();
        let opened = decrypt(name, &encrypted, Some(&keys)).unwrap();
        let values = |content: &[u8]| -> Vec<Value> {
            yaml::parse(content).unwrap().into_iter().map(|document| document.value).collect()
        };
        let plain = std::fs::read(folder.join("plain").join(name)).unwrap();
        assert_eq!(values(&opened.unwrap_or_else(|error| panic!("{name}: {error}")).content), values(&plain), "{name}");
        read += 1;
    }
    assert!(read >= 5, "{read} files");
}
