//! The example prints what its page says.

#[expect(unreachable_pub, reason = "the example is a program of its own")]
#[path = "../../examples/diff-engine.rs"]
mod diff_engine_example;

#[test]
fn the_example_finds_the_image_and_leaves_the_replicas() {
    insta::assert_snapshot!(diff_engine_example::run().unwrap(), @r#"
    Deployment.apps qa/web
      ~ spec.template.spec.containers[name=web].image: "web:1" -> "web:2"
    --- live Deployment.apps qa/web
    +++ desired Deployment.apps qa/web
    @@ -11,3 +11,3 @@
           containers:
    -      - image: web:1
    +      - image: web:2
             imagePullPolicy: IfNotPresent
    Progressing: Waiting for rollout to finish: 5 of 7 updated replicas are available...
    "#);
}
