//! Who may do what: RBAC, impersonation, reviews and tokens.

use serde_json::json;
use sim_cluster::{Cluster, Request, User};

use crate::objects::ask;

const PODS: &str = "/api/v1/namespaces/default/pods";

fn guarded() -> Cluster {
    let mut cluster = Cluster::default();
    let mut admin = cluster.acting_as("system:apiserver");
    let role = json!({"metadata": {"name": "reader"}, "rules": [{"verbs": ["get", "list"], "apiGroups": [""], "resources": ["pods"]}]});
    admin.create("roles.rbac.authorization.k8s.io", "default", role).unwrap();
    let binding = json!({
        "metadata": {"name": "readers"}, "roleRef": {"kind": "Role", "name": "reader"},
        "subjects": [{"kind": "User", "name": "jane"}, {"kind": "ServiceAccount", "name": "robot"}],
    });
    admin.create("rolebindings.rbac.authorization.k8s.io", "default", binding).unwrap();
    admin.create("serviceaccounts", "default", json!({"metadata": {"name": "robot"}})).unwrap();
    cluster.set_rbac(true);
    cluster
}

#[test]
fn only_what_a_role_allows_is_done() {
    let mut cluster = guarded();
    let jane = User::new("jane");
    assert_eq!(ask(&mut cluster, Request::get(PODS).sent_by(jane.clone())).0, 200);
    let (code, status) = ask(&mut cluster, Request::delete(&format!("{PODS}/a")).sent_by(jane.clone()));
    assert_eq!(code, 403);
    assert_eq!(
        status["message"],
        "pods \"a\" is forbidden: User \"jane\" cannot delete resource \"pods\" in API group \"\" in the namespace \"default\""
    );
    let (_, status) = ask(&mut cluster, Request::get("/apis/apps/v1/deployments").sent_by(jane.clone()));
    assert_eq!(
        status["message"],
        "deployments.apps is forbidden: User \"jane\" cannot list resource \"deployments\" in API group \"apps\" at the cluster scope"
    );
    assert_eq!(ask(&mut cluster, Request::get("/version").sent_by(jane)).0, 200);
    assert_eq!(ask(&mut cluster, Request::get(PODS)).0, 200);
}

#[test]
fn impersonation_acts_with_the_rights_of_the_other() {
    let mut cluster = guarded();
    let robot = "system:serviceaccount:default:robot";
    let list = || Request::get(PODS).header("impersonate-user", robot);
    assert_eq!(ask(&mut cluster, list()).0, 200);
    let entry = cluster.requests().last().unwrap().clone();
    assert_eq!(
        (entry.actor.user.name.as_str(), entry.actor.impersonator.as_deref()),
        (robot, Some("kubernetes-admin"))
    );
    let (code, status) = ask(&mut cluster, list().sent_by(User::new("jane")));
    assert_eq!(code, 403);
    assert_eq!(
        status["message"],
        "serviceaccounts \"robot\" is forbidden: User \"jane\" cannot impersonate resource \"serviceaccounts\" in API group \"\" in the namespace \"default\""
    );
}

#[test]
fn reviews_and_tokens_tell_what_a_user_may() {
    let mut cluster = guarded();
    let review = |verb: &str| json!({"spec": {"resourceAttributes": {"namespace": "default", "verb": verb, "resource": "pods"}}});
    let target = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
    for (verb, allowed) in [("list", true), ("create", false)] {
        let (code, answer) = ask(&mut cluster, Request::post(target, &review(verb)).sent_by(User::new("jane")));
        assert_eq!((code, &answer["status"]["allowed"]), (201, &json!(allowed)));
    }
    let (code, issued) = ask(
        &mut cluster,
        Request::post("/api/v1/namespaces/default/serviceaccounts/robot/token", &json!({"spec": {}})),
    );
    assert_eq!(code, 201);
    let bearer = format!("Bearer {}", issued["status"]["token"].as_str().unwrap());
    assert_eq!(ask(&mut cluster, Request::get(PODS).header("authorization", &bearer)).0, 200);
    assert_eq!(ask(&mut cluster, Request::get("/api/v1/pods").header("authorization", &bearer)).0, 403);
    assert_eq!(ask(&mut cluster, Request::get(PODS).header("authorization", "Bearer wrong")).0, 401);
}
