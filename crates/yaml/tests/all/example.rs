//! The example prints what it promises.

#[path = "../../examples/yaml.rs"]
#[expect(dead_code, reason = "the example's main is not called")]
mod program;

#[test]
fn the_example_prints_what_it_promises() {
    insta::assert_snapshot!(program::run().unwrap(), @r"
    the image is at 6:12

    kind: Deployment
    metadata: {name: web}   # the front door
    spec:
      containers:
      - name: web
        image: 'web:1.1'    # bumped by promotion
        ready: yes

    kind: Deployment
    metadata:
      name: web
    spec:
      containers:
      - image: web:1.0
        name: web
        ready: true

    2:1: duplicate key `a` (it is first set at line 1)
    ");
}
