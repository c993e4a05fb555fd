//! The crate from outside: traffic over objects, PromQL against recorded answers, the HTTP skin.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking, in its helpers as well")]

mod http;
mod objects;
mod promql;
mod routing;

#[path = "../../examples/sim-traffic.rs"]
#[expect(dead_code, unreachable_pub, reason = "an example is a program of its own: its main is not called here")]
mod example;

#[test]
fn the_example_prints_what_it_promises() {
    insta::assert_snapshot!(example::run().unwrap(), @r#"
    sent 1000
    frontend-canary.qa.svc.cluster.local v3 200: 180
    frontend-canary.qa.svc.cluster.local v3 500: 20
    frontend-stable.qa.svc.cluster.local v2 200: 800
    lost 0
    success rate of the canary 0.9
    "#);
}
