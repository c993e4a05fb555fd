//! The example prints what its page says.

#[expect(unreachable_pub, reason = "the example is a program of its own")]
#[path = "../../examples/env-promotion.rs"]
mod env_promotion_example;

#[test]
fn the_example_promotes_one_image() {
    insta::assert_snapshot!(env_promotion_example::run().unwrap(), @r"
    envs/e2e/web.yaml
    kind: Rollout
    metadata: {name: web}
    spec:
      replicas: 5   # more than in qa
      template:
        spec:
          containers:
          - name: web
            image: acme/web:1.3   # sluice: web

    Promote web 1.3 from qa to e2e

    web: 1.2 -> 1.3

    Sluice-Operation: 5c1d
    Sluice-Action: promote
    Sluice-Env: e2e
    Sluice-Version: web=1.3
    Sluice-Requested-By: ann@example.com
    ");
}
