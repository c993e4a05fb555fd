//! What counts as a difference.

use diff_engine::{Applied, Claims, CompareOptions, FieldPointer, IgnoreRule, applied_digest, compare};
use object_model::Object;

use crate::object;

fn options(claims: &Claims) -> CompareOptions<'_> {
    CompareOptions { field_manager: "sluice", applied: Applied::Unknown, claims, ignore: &[] }
}

fn changes_with(desired: &Object, live: &Object, options: &CompareOptions<'_>) -> String {
    let comparison = compare(desired, live, options);
    let mut lines: Vec<String> = Vec::new();
    for change in &comparison.changes {
        let side =
            |value: &Option<serde_json::Value>| value.as_ref().map_or_else(|| "-".to_owned(), ToString::to_string);
        lines.push(format!(
            "{} ({}): {} -> {}",
            change.path,
            change.pointer,
            side(&change.live),
            side(&change.desired)
        ));
        let at = |object: &Object| object.pointer(&change.pointer).cloned();
        if change.live.is_some() {
            assert_eq!(at(live), change.live, "the pointer of a change leads to its live value");
        }
    }
    lines.extend(comparison.hidden.iter().map(|path| format!("hidden: {path}")));
    lines.join("\n")
}

fn changes(desired: &str, live: &str) -> String {
    let claims = Claims::default();
    changes_with(&object(desired), &object(live), &options(&claims))
}

const DEPLOYMENT: &str = r#"
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: qa, labels: {app: web}}
spec:
  replicas: 3
  template:
    spec:
      hostNetwork: false
      containers:
      - name: web
        image: web:1
        resources: {limits: {cpu: 1000m, memory: 1Gi}}
        ports: [{containerPort: 80}]
        env: [{name: A, value: "1"}, {name: B, value: ""}]
        volumeMounts: [{mountPath: /data, name: data}]
      volumes: [{name: data, emptyDir: {}}]
"#;

const LIVE_DEPLOYMENT: &str = r#"
apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
  namespace: qa
  uid: u1
  resourceVersion: "5"
  generation: 3
  creationTimestamp: "2026-01-01T00:00:00Z"
  labels: {app: web, added-by: somebody}
  annotations: {deployment.kubernetes.io/revision: "1"}
spec:
  replicas: 3
  progressDeadlineSeconds: 600
  template:
    metadata: {creationTimestamp: null}
    spec:
      containers:
      - name: sidecar
        image: proxy:9
      - name: web
        image: web:1
        imagePullPolicy: IfNotPresent
        resources: {limits: {cpu: "1", memory: 1024Mi}}
        ports: [{containerPort: 80, protocol: TCP}]
        env: [{name: B}, {name: A, value: "1"}]
        volumeMounts: [{mountPath: /data, name: data}]
      restartPolicy: Always
      volumes: [{name: data, emptyDir: {}}]
status: {replicas: 3}
"#;

#[test]
fn what_the_server_and_others_add_is_no_difference() {
    assert_eq!(changes(DEPLOYMENT, LIVE_DEPLOYMENT), "");
}

#[test]
fn a_changed_image_is_found_in_the_entry_with_its_name() {
    let live =
        LIVE_DEPLOYMENT.replace("image: web:1", "image: web:0").replace("replicas: 3\n  prog", "replicas: 5\n  prog");
    insta::assert_snapshot!(changes(DEPLOYMENT, &live), @r#"
    spec.replicas (/spec/replicas): 5 -> 3
    spec.template.spec.containers[name=web].image (/spec/template/spec/containers/1/image): "web:0" -> "web:1"
    "#);
}

#[test]
fn an_entry_that_is_missing_on_live_comes() {
    let live = LIVE_DEPLOYMENT.replace("{name: A, value: \"1\"}", "{name: C, value: x}");
    insta::assert_snapshot!(changes(DEPLOYMENT, &live), @r#"spec.template.spec.containers[name=web].env[name=A] (/spec/template/spec/containers/1/env/0): - -> {"name":"A","value":"1"}"#);
}

#[test]
fn ports_that_differ_only_by_protocol_are_two_ports() {
    let service =
        |ports: &str| format!("{{apiVersion: v1, kind: Service, metadata: {{name: dns}}, spec: {{ports: {ports}}}}}");
    let desired = service("[{name: u, port: 53, protocol: UDP}, {name: t, port: 53, targetPort: '80'}]");
    let same = service(
        "[{name: t, port: 53, protocol: TCP, targetPort: 80}, {name: u, port: 53, protocol: UDP, targetPort: 53}]",
    );
    assert_eq!(changes(&desired, &same), "");
    let other = service("[{name: t, port: 53, protocol: TCP, targetPort: 80}]");
    insta::assert_snapshot!(changes(&desired, &other), @r#"spec.ports[port=53,protocol=UDP] (/spec/ports/0): - -> {"name":"u","port":53,"protocol":"UDP"}"#);
}

#[test]
fn a_custom_resource_keeps_zero_values_so_their_absence_is_a_difference() {
    let desired = "{apiVersion: example.com/v1, kind: Widget, metadata: {name: a}, spec: {enabled: false, list: []}}";
    let live = "{apiVersion: example.com/v1, kind: Widget, metadata: {name: a}, spec: {}}";
    assert_eq!(changes(desired, live), "spec.enabled (/spec/enabled): - -> false");
    let built_in = |text: &str| text.replace("example.com/v1", "v1").replace("Widget", "Service");
    assert_eq!(changes(&built_in(desired), &built_in(live)), "");
}

#[test]
fn texts_that_look_like_quantities_are_only_equal_where_quantities_stand() {
    let map =
        |value: &str| format!("{{apiVersion: v1, kind: ConfigMap, metadata: {{name: a}}, data: {{memory: {value}}}}}");
    assert_eq!(changes(&map("1Gi"), &map("1024Mi")), r#"data.memory (/data/memory): "1024Mi" -> "1Gi""#);
}

#[test]
fn a_service_selector_is_replaced_whole_so_extra_keys_are_differences() {
    let service = |selector: &str| {
        format!("{{apiVersion: v1, kind: Service, metadata: {{name: a}}, spec: {{selector: {selector}}}}}")
    };
    assert_eq!(
        changes(&service("{app: a}"), &service("{app: a, extra: b}")),
        r#"spec.selector.extra (/spec/selector/extra): "b" -> -"#
    );
}

const OWNED: &str = r#"
apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
  labels: {app: web, tier: front, other: x}
  finalizers: [ours/a, theirs/b]
  managedFields:
  - manager: sluice
    operation: Apply
    fieldsV1:
      f:metadata: {f:labels: {f:app: {}, f:tier: {}}, f:finalizers: {'v:"ours/a"': {}}}
      f:spec:
        f:replicas: {}
        f:template:
          f:spec:
            f:containers:
              k:{"name":"web"}: {.: {}, f:image: {}, f:name: {}, f:command: {}}
              k:{"name":"old"}: {.: {}, f:image: {}, f:name: {}}
            f:tolerations: {}
  - manager: injector
    operation: Update
    fieldsV1:
      f:metadata: {f:labels: {f:other: {}}}
      f:spec: {f:template: {f:spec: {f:containers: {'k:{"name":"sidecar"}': {.: {}, f:image: {}}}}}}
spec:
  replicas: 2
  template:
    spec:
      containers:
      - {name: web, image: web:1, command: [run]}
      - {name: old, image: old:1}
      - {name: sidecar, image: proxy:9}
      tolerations: [{key: a, operator: Exists, effect: NoSchedule}]
"#;

#[test]
fn fields_that_we_own_and_git_no_longer_sets_go() {
    let desired = r#"
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, labels: {app: web}}
spec:
  template:
    spec:
      containers: [{name: web, image: web:1}]
      tolerations: [{key: a, operator: Exists}]
"#;
    insta::assert_snapshot!(changes(desired, OWNED), @r#"
    metadata.labels.tier (/metadata/labels/tier): "front" -> -
    metadata.finalizers[0] (/metadata/finalizers/0): "ours/a" -> -
    spec.template.spec.containers[name=web].command (/spec/template/spec/containers/0/command): ["run"] -> -
    spec.template.spec.containers[name=old] (/spec/template/spec/containers/1): {"image":"old:1","name":"old"} -> -
    spec.replicas (/spec/replicas): 2 -> -
    "#);
}

#[test]
fn extra_fields_in_an_atomic_list_count_once_what_we_want_is_not_what_we_applied() {
    let desired = object(
        "{apiVersion: apps/v1, kind: Deployment, metadata: {name: web, finalizers: [ours/a], labels: {app: web, tier: front}}, spec: {replicas: 2, template: {spec: {containers: [{name: web, image: 'web:1', command: [run]}, {name: old, image: 'old:1'}], tolerations: [{key: a, operator: Exists}]}}}}",
    );
    let claims = Claims::default();
    let live = object(OWNED);
    let with = |applied| changes_with(&desired, &live, &CompareOptions { applied, ..options(&claims) });
    assert_eq!(with(Applied::Same), "");
    assert_eq!(
        with(Applied::Other),
        r#"spec.template.spec.tolerations[0].effect (/spec/template/spec/tolerations/0/effect): "NoSchedule" -> -"#
    );
}

#[test]
fn what_the_server_fills_into_entries_of_atomic_lists_is_known() {
    let set = |claim: &str| {
        format!(
            "{{apiVersion: apps/v1, kind: StatefulSet, metadata: {{name: a}}, spec: {{volumeClaimTemplates: [{claim}]}}}}"
        )
    };
    let desired = object(&set(
        "{metadata: {name: data}, spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}}",
    ));
    let live = object(&set(
        "{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: data, creationTimestamp: null}, spec: {accessModes: [ReadWriteOnce], volumeMode: Filesystem, resources: {requests: {storage: 1024Mi}}}, status: {phase: Pending}}",
    ));
    let claims = Claims::default();
    let other = CompareOptions { applied: Applied::Other, ..options(&claims) };
    assert_eq!(changes_with(&desired, &live, &other), "");
}

#[test]
fn an_atomic_list_that_somebody_else_took_over_is_compared_exactly() {
    let desired = object(
        "{apiVersion: networking.istio.io/v1, kind: VirtualService, metadata: {name: a}, spec: {http: [{route: [{destination: {host: a}}]}]}}",
    );
    let live = |manager: &str| {
        object(&format!(
            "{{apiVersion: networking.istio.io/v1, kind: VirtualService, metadata: {{name: a, managedFields: [{{manager: {manager}, operation: Apply, fieldsV1: {{'f:spec': {{'f:http': {{}}}}}}}}]}}, spec: {{http: [{{timeout: 1s, route: [{{destination: {{host: a}}}}]}}]}}}}"
        ))
    };
    let claims = Claims::default();
    assert_eq!(changes_with(&desired, &live("sluice"), &options(&claims)), "");
    assert_eq!(
        changes_with(&desired, &live("kubectl"), &options(&claims)),
        r#"spec.http[0].timeout (/spec/http/0/timeout): "1s" -> -"#
    );
}

#[test]
fn ignored_fields_and_managers_are_hidden_and_named() {
    let desired = object(DEPLOYMENT);
    let live = object(
        &LIVE_DEPLOYMENT.replace("image: web:1", "image: web:0").replace("replicas: 3\n  prog", "replicas: 5\n  prog"),
    );
    let claims = Claims::default();
    let rule = |kind: &str| IgnoreRule {
        kind: Some(kind.to_owned()),
        pointers: vec![
            FieldPointer::parse("/spec/replicas").unwrap(),
            FieldPointer::parse("/spec/template/spec/containers/[name=web]/image").unwrap(),
        ],
        ..IgnoreRule::default()
    };
    let with =
        |rules: &[IgnoreRule]| changes_with(&desired, &live, &CompareOptions { ignore: rules, ..options(&claims) });
    insta::assert_snapshot!(with(&[rule("Deployment")]), @r"
    hidden: spec.replicas
    hidden: spec.template.spec.containers[name=web].image
    ");
    assert_eq!(with(&[rule("StatefulSet")]), with(&[]));
    let mut owned = object(OWNED);
    owned.set_at(&["metadata", "labels", "other"], "y".into());
    let mut wanted = object("{apiVersion: apps/v1, kind: Deployment, metadata: {name: web, labels: {other: z}}}");
    let by_manager = IgnoreRule { managers: vec!["injector".to_owned()], ..IgnoreRule::default() };
    let rules = [by_manager];
    wanted.set_label("app", "web");
    wanted.set_label("tier", "front");
    let text = changes_with(&wanted, &owned, &CompareOptions { ignore: &rules, ..options(&claims) });
    assert!(text.contains("hidden: metadata.labels.other"), "{text}");
}

#[test]
fn the_digest_of_what_is_wanted_ignores_spelling_and_is_not_made_of_secrets() {
    let left =
        object("{apiVersion: v1, kind: ConfigMap, metadata: {name: a, creationTimestamp: null}, data: {a: x, b: y}}");
    let right = object("{kind: ConfigMap, apiVersion: v1, data: {b: y, a: x}, metadata: {name: a}}");
    assert_eq!(applied_digest(&left), applied_digest(&right));
    assert_ne!(
        applied_digest(&left),
        applied_digest(&object("{apiVersion: v1, kind: ConfigMap, metadata: {name: a}, data: {a: x}}"))
    );
    let list = |items: &str| {
        applied_digest(&object(&format!("{{apiVersion: v1, kind: X, metadata: {{name: a}}, list: {items}}}")))
    };
    assert_ne!(list("[1, 2]"), list("[12]"));
    assert_eq!(applied_digest(&object("{apiVersion: v1, kind: Secret, metadata: {name: a}}")), None);
}
