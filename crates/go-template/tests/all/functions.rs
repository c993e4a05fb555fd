//! Answers of sprig's and Helm's own functions, recorded by `fixtures/functions/record`.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test panics where something is not as expected")]

use std::sync::Arc;

use go_template::functions::{Helm, Lookup, LookupError, Strictness};
use go_template::{
    Budget, CountingEntropy, Entropy, Environment, Functions, Limits, MissingKey, Templates, Timestamp, Value,
    from_json,
};

/// What the recorder's templates saw too.
const DATA: &str = r#"{"value": null, "one": 1, "float": 1.5, "text": "hello", "empty": "", "yes": true, "list": ["a", 2, null],
    "map": {"a": 1, "b": {"c": "d"}}, "top": {}, "simple": {"key": "value"}, "big": 12345678.9, "none": {"x": null},
    "V": {"x": 1}, "strings": ["b", "a"], "nested": [{"name": "n"}, {"name": "m"}]}"#;

/// What is known to differ, by a part of the template and the reason.
const DIFFERENT: [(&str, &str); 3] = [
    (r#"fromToml (b64dec "/w==")"#, "the TOML parser has words of its own"),
    (r#"fromToml "abc""#, "the TOML parser has words of its own"),
    (r#"urlParse "http://[::x]/""#, "Go tells what is wrong with an address"),
];

fn render(functions: &Arc<Functions>, source: &str) -> Result<String, String> {
    let mut templates = Templates::new("test", functions.clone()).with_missing_key(MissingKey::Zero);
    templates.parse("test", source).map_err(|error| error.to_string())?;
    let data = from_json(&serde_json::from_str(DATA).unwrap());
    let mut entropy = CountingEntropy::default();
    let output = templates.execute("test", &data, &mut Environment::new(&mut entropy));
    output.map(|output| output.to_string()).map_err(|error| error.to_string())
}

#[test]
fn every_function_answers_as_the_go_one_does() {
    let functions = Arc::new(Helm::default().functions());
    let rows: Vec<[String; 3]> = include_str!("../../fixtures/functions/answers.jsonl")
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert!(rows.len() > 2_000);
    let mut differences = Vec::new();
    for [source, output, error] in &rows {
        let expected = if error.is_empty() { Ok(output) } else { Err(error) };
        let found = render(&functions, source);
        let is_known = DIFFERENT.iter().any(|(part, _)| source.contains(part));
        if (found.as_ref() != expected) != is_known {
            differences.push(format!("{source}\n  go:   {expected:?}\n  here: {found:?}"));
        }
    }
    assert!(differences.is_empty(), "{} of {} differ:\n{}", differences.len(), rows.len(), differences.join("\n"));
}

/// A template's output where it must succeed.
fn output(source: &str) -> String {
    render(&Arc::new(Helm::default().functions()), source).unwrap()
}

/// Another entropy than the usual one.
struct Other(u8);

impl Entropy for Other {
    fn fill(&mut self, _template: &str, bytes: &mut [u8]) {
        for byte in bytes {
            self.0 = self.0.wrapping_mul(29).wrapping_add(17);
            *byte = self.0;
        }
    }
}

#[test]
fn random_text_has_the_asked_shape_and_comes_from_the_entropy() {
    let source = "{{ randAlphaNum 40 }} {{ randAlpha 40 }} {{ randNumeric 40 }} {{ uuidv4 }} {{ randInt 5 9 }} \
        {{ randBytes 3 }} {{ randAscii 20 | len }} {{ shuffle \"abc\" | splitList \"\" | sortAlpha | join \"\" }}";
    let first = output(source);
    assert_eq!(first, output(source));
    let parts: Vec<&str> = first.split(' ').collect();
    assert!(parts[0].len() == 40 && parts[0].bytes().all(|byte| byte.is_ascii_alphanumeric()));
    assert!(parts[1].len() == 40 && parts[1].bytes().all(|byte| byte.is_ascii_alphabetic()));
    assert!(parts[2].len() == 40 && parts[2].bytes().all(|byte| byte.is_ascii_digit()));
    assert!(parts[3].len() == 36 && parts[3].as_bytes()[14] == b'4' && b"89ab".contains(&parts[3].as_bytes()[19]));
    assert!((5..9).contains(&parts[4].parse::<i32>().unwrap()));
    assert_eq!(&parts[6..], ["20", "abc"]);
    let mut templates = Templates::new("test", Arc::new(Helm::default().functions()));
    templates.parse("test", source).unwrap();
    let other = templates.execute("test", &Value::Nil, &mut Environment::new(&mut Other(1))).unwrap();
    assert_ne!(other.to_string(), first);
}

#[test]
fn certificates_are_signed_by_their_authority() {
    let rendered = output(
        "{{ $ca := genCAWithKey \"my-ca\" 365 (genPrivateKey \"ecdsa\") }}\
         {{ $cert := genSignedCertWithKey \"web\" (list \"10.0.0.1\" \"::1\") (list \"web.ns.svc\" \"*.web\") 30 $ca (genPrivateKey \"ecdsa\") }}\
         {{ $self := genSelfSignedCertWithKey \"self*\" nil (list \"self\") 1 (genPrivateKey \"ed25519\") }}\
         {{ $custom := buildCustomCert ($cert.Cert | b64enc) ($cert.Key | b64enc) }}\
         {{ eq $custom.Cert $cert.Cert }}\n{{ $ca.Cert }}{{ $cert.Cert }}{{ $self.Cert }}{{ $ca.Key }}{{ $cert.Key }}{{ typeOf $ca }} {{ kindOf $ca }}",
    );
    assert!(rendered.starts_with("true\n-----BEGIN CERTIFICATE-----\n"));
    assert!(rendered.ends_with("-----END EC PRIVATE KEY-----\nsprig.certificate struct"));
    assert_eq!(rendered.matches("-----BEGIN CERTIFICATE-----").count(), 3);
    assert_eq!(rendered.matches("-----BEGIN EC PRIVATE KEY-----").count(), 2);
    verify(&rendered);
}

#[test]
fn rsa_certificates_are_signed_by_their_authority() {
    let rendered = output(
        "{{ $ca := genCA \"my-ca\" 365 }}{{ $cert := genSignedCert \"web\" (list \"10.0.0.1\" \"::1\") (list \"a\" \"b\") 30 $ca }}\
         true\n{{ $ca.Cert }}{{ $cert.Cert }}{{ $cert.Key }}",
    );
    assert!(rendered.ends_with("-----END RSA PRIVATE KEY-----\n"));
    verify(&rendered);
}

/// Parses the first two certificates of a text with another reader and checks the second one's signature by the first.
fn verify(text: &str) {
    use x509_parser::pem::Pem;
    let blocks: Vec<Pem> = Pem::iter_from_buffer(&text.as_bytes()[5..]).map(Result::unwrap).collect();
    let authority = blocks[0].parse_x509().unwrap();
    let certificate = blocks[1].parse_x509().unwrap();
    authority.verify_signature(None).unwrap();
    certificate.verify_signature(Some(authority.public_key())).unwrap();
    assert!(authority.is_ca() && !certificate.is_ca());
    assert_eq!(certificate.issuer().to_string(), "CN=my-ca");
    assert_eq!(certificate.subject().to_string(), "CN=web");
    let names = certificate.subject_alternative_name().unwrap().unwrap();
    assert_eq!(names.value.general_names.len(), 4);
    let validity = certificate.validity();
    assert_eq!(validity.not_after.timestamp() - validity.not_before.timestamp(), 30 * 86_400);
}

#[test]
fn passwords_and_ciphers_can_be_undone_or_checked() {
    assert_eq!(output("{{ \"secret text\" | encryptAES \"key\" | decryptAES \"key\" }}"), "secret text");
    let entry = output("{{ htpasswd \"user\" \"password\" }}");
    let hash = entry.strip_prefix("user:").unwrap();
    assert!(hash.starts_with("$2a$10$") && hash.len() == 60);
    assert!(output("{{ bcrypt (repeat 73 \"a\") }}").ends_with("password length exceeds 72 bytes"));
}

#[test]
fn what_is_dated_takes_the_time_of_the_execution() {
    let mut templates = Templates::new("test", Arc::new(Helm::default().functions()));
    let source = "{{ now | date \"2006-01-02T15:04:05.000Z07:00\" }} {{ htmlDate \"x\" }} {{ ago 1700000000 }} \
        {{ now.Unix }} {{ durationRound (now | dateModify \"-50h\") }} {{ dateInZone \"15:04 MST\" now \"America/New_York\" }}";
    templates.parse("test", source).unwrap();
    let mut entropy = CountingEntropy::default();
    let mut environment = Environment::new(&mut entropy);
    environment.now = Timestamp { seconds: 1_700_003_661, nanoseconds: 500_000_000 };
    let output = templates.execute("test", &Value::Nil, &mut environment).unwrap();
    assert_eq!(output.to_string(), "2023-11-14T23:14:21.500Z 2023-11-14 1h1m2s 1700003661 2d 18:14 EST");
}

#[test]
fn case_10_bombs_end_within_the_budget() {
    let functions = Arc::new(Helm::default().functions());
    for source in [
        "{{ repeat 1000000000 \"abcdefgh\" }}",
        "{{ until 1000000000 }}",
        "{{ untilStep 0 9223372036854775807 1 | len }}",
        "{{ seq 1000000000 }}",
        "{{ indent 1000000000 \"a\" }}",
        "{{ nindent 300000000 \"a\" }}",
        "{{ randAlphaNum 1000000000 }}",
        "{{ randBytes 1000000000 }}",
        "{{ $l := list 1 }}{{ range until 64 }}{{ $l = concat $l $l }}{{ end }}",
        "{{ $s := \"aa\" }}{{ range until 64 }}{{ $s = replace \"a\" \"aa\" $s }}{{ end }}",
        "{{ $d := dict }}{{ $_ := set $d \"d\" $d }}{{ toYaml $d }}{{ toJson $d }}{{ mustToJson $d }}",
        "{{ $d := dict }}{{ $_ := set $d \"d\" $d }}{{ $e := dict }}{{ $_ := set $e \"d\" $e }}{{ merge $d $e }}",
        "{{ $d := dict }}{{ $_ := set $d \"d\" $d }}{{ deepCopy $d }}",
        "{{ mustRegexMatch \"(((a{30}){30}){30}){30}\" \"a\" }}",
        "{{ fromJson (printf \"{\\\"a\\\":%s\" (repeat 100000 \"[\")) }}{{ fail \"unread\" }}",
    ] {
        let mut templates = Templates::new("test", functions.clone());
        templates.parse("test", source).unwrap();
        let mut entropy = CountingEntropy::default();
        let mut environment = Environment::new(&mut entropy);
        environment.budget = Budget::new(Limits { steps: 2_000_000, produced_bytes: 32 << 20, ..Limits::default() });
        let failure = templates.execute("test", &Value::Nil, &mut environment).unwrap_err().to_string();
        assert!(failure.len() < 4_096, "{source}: {failure}");
    }
}

#[test]
fn keys_and_slow_hashes_are_paid_for_by_steps() {
    for source in [
        "{{ genPrivateKey \"rsa\" }}",
        "{{ genCA \"cn\" 1 }}",
        "{{ bcrypt \"a\" }}",
        "{{ derivePassword 1 \"pin\" \"a\" \"b\" \"c\" }}",
    ] {
        let mut templates = Templates::new("test", Arc::new(Helm::default().functions()));
        templates.parse("test", source).unwrap();
        let mut entropy = CountingEntropy::default();
        let mut environment = Environment::new(&mut entropy);
        environment.budget = Budget::new(Limits { steps: 500_000, ..Limits::default() });
        let failure = templates.execute("test", &Value::Nil, &mut environment).unwrap_err();
        assert!(failure.exhausted.is_some(), "{source}: {failure}");
    }
}

#[test]
fn a_cluster_is_asked_when_there_is_one() {
    struct Cluster;
    impl Lookup for Cluster {
        fn lookup(
            &self,
            version: &str,
            kind: &str,
            namespace: &str,
            name: &str,
        ) -> Result<serde_json::Value, LookupError> {
            match name {
                "bad" => Err(LookupError("no connection".to_owned())),
                "none" => Ok(serde_json::Value::Null),
                _ => Ok(serde_json::json!({"found": format!("{version} {kind} {namespace}/{name}")})),
            }
        }
    }
    let helm = Helm { cluster: Some(Arc::new(Cluster)), ..Helm::default() };
    let functions = Arc::new(helm.functions());
    let found = render(
        &functions,
        "{{ (lookup \"v1\" \"Secret\" \"ns\" \"a\").found }} {{ lookup \"v1\" \"Secret\" \"ns\" \"none\" }}",
    );
    assert_eq!(found.unwrap(), "v1 Secret ns/a map[]");
    let failure = render(&functions, "{{ lookup \"v1\" \"Secret\" \"ns\" \"bad\" }}").unwrap_err();
    assert!(failure.ends_with("error calling lookup: no connection"), "{failure}");
}

#[test]
fn a_linter_sees_what_comes_after_a_failure() {
    let helm = Helm { strictness: Strictness::Lenient, ..Helm::default() };
    let functions = Arc::new(helm.functions());
    assert_eq!(render(&functions, "a{{ fail \"no\" }}b{{ required \"no\" .nothing }}c").unwrap(), "abc");
}

#[test]
fn every_name_of_helm_is_there() {
    let functions = Helm::default().functions();
    let names: Vec<&str> = functions.names().collect();
    assert!(!names.contains(&"env") && !names.contains(&"expandenv"));
    for line in include_str!("../../fixtures/functions/names.txt").lines() {
        assert!(names.contains(&line), "{line} is missing");
    }
}
