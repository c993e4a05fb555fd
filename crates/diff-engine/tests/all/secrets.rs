//! What leaves the process shows that a secret changed, and never what it is.

use diff_engine::{
    Applied, Claims, CompareOptions, LAST_APPLIED_ANNOTATION, Redactor, compare, print_fields, print_unified,
};
use object_model::Object;

use crate::object;

const KEY: &[u8] = b"a key that a process makes anew";

fn secret(field: &str, values: &str) -> Object {
    object(&format!("{{apiVersion: v1, kind: Secret, metadata: {{name: db, namespace: qa}}, {field}: {values}}}"))
}

#[test]
fn case_28_one_value_has_one_mask_however_it_is_written() {
    let redactor = Redactor::new(KEY);
    let plain = redactor.redact(&secret("stringData", "{password: hunter2}"));
    let encoded = redactor.redact(&secret("data", "{password: aHVudGVyMg==}"));
    assert_eq!(plain.str_at("/data/password"), encoded.str_at("/data/password"));
    assert_ne!(
        plain.str_at("/data/password"),
        redactor.redact(&secret("stringData", "{password: hunter3}")).str_at("/data/password")
    );
    assert_ne!(
        plain,
        Redactor::new(b"another").redact(&secret("stringData", "{password: hunter2}")),
        "a mask depends on the key"
    );
}

#[test]
fn case_28_no_spelling_of_a_secret_survives() {
    let redactor = Redactor::new(KEY);
    let mut live = secret("data", "{password: aHVudGVyMg==, broken: 'not base64 hunter2'}");
    live.set_annotation(
        LAST_APPLIED_ANNOTATION,
        r#"{"kind":"Secret","stringData":{"password":"hunter2"},"data":{"password":"aHVudGVyMg=="}}"#,
    );
    let mut unreadable = secret("data", "hunter2");
    unreadable.set_annotation(LAST_APPLIED_ANNOTATION, "{hunter2");
    let mut map = object("{apiVersion: v1, kind: ConfigMap, metadata: {name: a}, data: {}}");
    map.set_at(&["data", "key"], "-----BEGIN RSA PRIVATE KEY-----\nhunter2\n-----END RSA PRIVATE KEY-----".into());
    for object in [&live, &unreadable, &map] {
        let text = redactor.redact(object).into_json().to_string();
        assert!(!text.contains("hunter2") && !text.contains("aHVudGVyMg"), "{text}");
        assert!(text.contains("[redacted "), "{text}");
    }
}

#[test]
fn case_28_a_diff_of_redacted_secrets_shows_that_they_differ() {
    let redactor = Redactor::new(KEY);
    let desired = redactor.redact(&secret("data", "{password: bmV3, user: YWRtaW4=}"));
    let live = redactor.redact(&secret("data", "{password: b2xk, user: YWRtaW4=}"));
    assert_eq!(redactor.redact(&secret("stringData", "{password: old, user: admin}")), live, "both spellings are one");
    let claims = Claims::default();
    let options = CompareOptions { field_manager: "sluice", applied: Applied::Unknown, claims: &claims, ignore: &[] };
    let comparison = compare(&desired, &live, &options);
    insta::assert_snapshot!(print_fields(&desired, &comparison), @r#"
    Secret qa/db
      ~ data.password: "[redacted badc32fd6182]" -> "[redacted 77e1677fc04c]"
    "#);
    insta::assert_snapshot!(print_unified(&desired, Some(&live), &comparison, 1), @r#"
    --- live Secret qa/db
    +++ desired Secret qa/db
    @@ -2,3 +2,3 @@
     data:
    -  password: "[redacted badc32fd6182]"
    +  password: "[redacted 77e1677fc04c]"
       user: "[redacted 3a3a2ea0bf6f]"
    "#);
}

#[test]
fn a_secret_that_nobody_redacted_is_not_printed_either() {
    let (desired, live) = (secret("data", "{password: bmV3}"), secret("data", "{password: b2xk, user: YWRtaW4=}"));
    let claims = Claims::default();
    let options = CompareOptions { field_manager: "sluice", applied: Applied::Unknown, claims: &claims, ignore: &[] };
    let comparison = compare(&desired, &live, &options);
    assert_eq!(
        print_fields(&desired, &comparison),
        "Secret qa/db\n  ~ data.password: \"[redacted]\" -> \"[redacted]\"\n"
    );
    let created = print_unified(&desired, None, &comparison, 3);
    assert!(created.contains("+  password: \"[redacted]\"") && !created.contains("bmV3"), "{created}");
    assert_eq!(print_unified(&desired, Some(&live), &comparison, 3), "", "values that are hidden look equal");
}

#[test]
fn secret_values_are_taken_out_of_messages_longest_first() {
    let redactor = Redactor::new(KEY);
    let values = Redactor::values_of(&secret("data", "{a: aHVudGVyMg==, b: aHVudGVyMi1sb25n, c: eA==}"));
    let text = redactor.scrub("dial hunter2-long failed with hunter2, x stays", &values);
    assert_eq!(
        text,
        format!("dial {} failed with {}, x stays", redactor.mask(b"hunter2-long"), redactor.mask(b"hunter2"))
    );
}

#[test]
fn a_unified_diff_shows_what_an_apply_leaves() {
    let desired = object(
        "{apiVersion: apps/v1, kind: Deployment, metadata: {name: web, namespace: qa}, spec: {replicas: 3, template: {spec: {containers: [{name: web, image: 'web:2'}, {name: new, image: 'new:1'}]}}}}",
    );
    let live = object(
        "{apiVersion: apps/v1, kind: Deployment, metadata: {name: web, namespace: qa, uid: u}, spec: {replicas: 3, progressDeadlineSeconds: 600, template: {spec: {containers: [{name: web, image: 'web:1', imagePullPolicy: Always}]}}}, status: {replicas: 3}}",
    );
    let claims = Claims::default();
    let options = CompareOptions { field_manager: "sluice", applied: Applied::Unknown, claims: &claims, ignore: &[] };
    let comparison = compare(&desired, &live, &options);
    insta::assert_snapshot!(print_unified(&desired, Some(&live), &comparison, 2), @r"
    --- live Deployment.apps qa/web
    +++ desired Deployment.apps qa/web
    @@ -10,5 +10,7 @@
         spec:
           containers:
    -      - image: web:1
    +      - image: web:2
             imagePullPolicy: Always
             name: web
    +      - image: new:1
    +        name: new
    ");
    insta::assert_snapshot!(print_unified(&desired, None, &comparison, 2), @r"
    --- live Deployment.apps qa/web
    +++ desired Deployment.apps qa/web
    @@ -0,0 +1,14 @@
    +apiVersion: apps/v1
    +kind: Deployment
    +metadata:
    +  name: web
    +  namespace: qa
    +spec:
    +  replicas: 3
    +  template:
    +    spec:
    +      containers:
    +      - image: web:2
    +        name: web
    +      - image: new:1
    +        name: new
    ");
    assert_eq!(print_unified(&live, Some(&live), &compare(&live, &live, &options), 2), "");
}
