//! Health as kstatus judges it: cases for each kind that it names, and for what it does not.

use diff_engine::assess_as_kstatus;

use crate::object;

/// Status and message of an object at a moment.
fn judged(text: &str) -> String {
    let health = assess_as_kstatus(&object(text), "2026-11-22T07:15:00Z".parse().unwrap());
    format!("{}: {}", health.status, health.message)
}

/// Each line of `cases` is a spec and a status in YAML's short form, and what is expected.
fn all(api_version: &str, kind: &str, cases: &[(&str, &str, &str)]) {
    for (spec, status, want) in cases {
        let text = format!(
            "{{apiVersion: {api_version}, kind: {kind}, metadata: {{name: a, generation: 1, creationTimestamp: '2026-11-22T07:14:50Z'}}, spec: {spec}, status: {status}}}"
        );
        assert_eq!(judged(&text), *want, "{kind} {spec} {status}");
    }
}

#[test]
fn deployments() {
    let done = "replicas: 1, updatedReplicas: 1, readyReplicas: 1, availableReplicas: 1";
    let available = "{type: Available, status: 'True'}";
    let progressed = "{type: Progressing, status: 'True', reason: NewReplicaSetAvailable}";
    let with = |conditions: &str| format!("{{{done}, conditions: [{conditions}]}}");
    all(
        "apps/v1",
        "Deployment",
        &[
            ("{}", "{}", "Progressing: Replicas: 0/1"),
            ("{replicas: 2}", "{replicas: 2, updatedReplicas: 1}", "Progressing: Updated: 1/2"),
            ("{replicas: 1}", "{replicas: 2, updatedReplicas: 1}", "Progressing: Pending termination: 1"),
            ("{}", "{replicas: 1, updatedReplicas: 1}", "Progressing: Available: 0/1"),
            ("{}", "{replicas: 1, updatedReplicas: 1, availableReplicas: 1}", "Progressing: Ready: 0/1"),
            ("{progressDeadlineSeconds: 600}", &with(available), "Progressing: ReplicaSet not Available"),
            ("{progressDeadlineSeconds: 600}", &with(progressed), "Progressing: Deployment not Available"),
            (
                "{progressDeadlineSeconds: 600}",
                &with(&format!("{available}, {progressed}")),
                "Healthy: Deployment is available. Replicas: 1",
            ),
            ("{}", &with(available), "Healthy: Deployment is available. Replicas: 1"),
            (
                "{}",
                "{conditions: [{type: Progressing, status: 'False', reason: ProgressDeadlineExceeded}]}",
                "Degraded: Progress deadline exceeded",
            ),
            (
                "{}",
                "{observedGeneration: 0}",
                "Progressing: Deployment generation is 1, but latest observed generation is 0",
            ),
        ],
    );
}

#[test]
fn stateful_sets() {
    let same = "currentRevision: r1, updateRevision: r1";
    all(
        "apps/v1",
        "StatefulSet",
        &[
            ("{updateStrategy: {type: OnDelete}}", "{}", "Healthy: StatefulSet is using the ondelete update strategy"),
            ("{}", "{}", "Progressing: Replicas: 0/1"),
            ("{replicas: 2}", "{replicas: 2, readyReplicas: 1}", "Progressing: Ready: 1/2"),
            ("{replicas: 1}", "{replicas: 2, readyReplicas: 2}", "Progressing: Pending termination: 1"),
            ("{}", "{replicas: 1, readyReplicas: 1}", "Progressing: current: 0/1"),
            (
                "{}",
                "{replicas: 1, readyReplicas: 1, currentReplicas: 1, currentRevision: r1, updateRevision: r2}",
                "Progressing: Waiting for updated revision to match current",
            ),
            (
                "{}",
                &format!("{{replicas: 1, readyReplicas: 1, currentReplicas: 1, {same}}}"),
                "Healthy: All replicas scheduled as expected. Replicas: 1",
            ),
            (
                "{replicas: 3, updateStrategy: {rollingUpdate: {partition: 1}}}",
                "{replicas: 3, readyReplicas: 3, updatedReplicas: 1}",
                "Progressing: updated: 1/2",
            ),
            (
                "{replicas: 3, updateStrategy: {rollingUpdate: {partition: 1}}}",
                "{replicas: 3, readyReplicas: 3, updatedReplicas: 2}",
                "Healthy: Partition rollout complete. updated: 2",
            ),
        ],
    );
}

#[test]
fn daemon_sets_and_replica_sets() {
    all(
        "apps/v1",
        "DaemonSet",
        &[
            ("{}", "{}", "Progressing: DaemonSet status.observedGeneration not found"),
            ("{}", "{observedGeneration: 1}", "Progressing: Missing .status.desiredNumberScheduled"),
            ("{}", "{observedGeneration: 1, desiredNumberScheduled: 2}", "Progressing: Current: 0/2"),
            (
                "{}",
                "{observedGeneration: 1, desiredNumberScheduled: 1, currentNumberScheduled: 1}",
                "Progressing: Updated: 0/1",
            ),
            (
                "{}",
                "{observedGeneration: 1, desiredNumberScheduled: 1, currentNumberScheduled: 1, updatedNumberScheduled: 1}",
                "Progressing: Available: 0/1",
            ),
            (
                "{}",
                "{observedGeneration: 1, desiredNumberScheduled: 1, currentNumberScheduled: 1, updatedNumberScheduled: 1, numberAvailable: 1}",
                "Progressing: Ready: 0/1",
            ),
            (
                "{}",
                "{observedGeneration: 1, desiredNumberScheduled: 1, currentNumberScheduled: 1, updatedNumberScheduled: 1, numberAvailable: 1, numberReady: 1}",
                "Healthy: All replicas scheduled as expected. Replicas: 1",
            ),
        ],
    );
    all(
        "apps/v1",
        "ReplicaSet",
        &[
            (
                "{}",
                "{conditions: [{type: ReplicaFailure, status: 'True'}]}",
                "Progressing: Replica Failure condition. Check Pods",
            ),
            ("{}", "{}", "Progressing: Labelled: 0/1"),
            ("{}", "{fullyLabeledReplicas: 1}", "Progressing: Available: 0/1"),
            ("{}", "{fullyLabeledReplicas: 1, availableReplicas: 1}", "Progressing: Ready: 0/1"),
            (
                "{}",
                "{replicas: 2, fullyLabeledReplicas: 1, availableReplicas: 1, readyReplicas: 1}",
                "Progressing: Pending termination: 1",
            ),
            (
                "{}",
                "{replicas: 1, fullyLabeledReplicas: 1, availableReplicas: 1, readyReplicas: 1}",
                "Healthy: ReplicaSet is available. Replicas: 1",
            ),
        ],
    );
}

#[test]
fn pods() {
    let waiting = "{phase: Pending, conditions: [{type: PodScheduled, status: 'False', reason: Unschedulable}]}";
    all(
        "v1",
        "Pod",
        &[
            ("{}", "{}", "Progressing: Pod phase not available"),
            ("{}", "{phase: Pending}", "Progressing: Pod is in the Pending phase"),
            ("{}", waiting, "Progressing: Pod has not been scheduled"),
            ("{}", "{phase: Running}", "Progressing: Pod is running but is not Ready"),
            ("{}", "{phase: Running, conditions: [{type: Ready, status: 'True'}]}", "Healthy: Pod is Ready"),
            (
                "{}",
                "{phase: Running, containerStatuses: [{name: web, state: {waiting: {reason: CrashLoopBackOff}}}]}",
                "Degraded: Containers in CrashLoop state: web",
            ),
            ("{}", "{phase: Succeeded}", "Healthy: Pod has completed successfully"),
            ("{}", "{phase: Failed}", "Healthy: Pod has completed, but not successfully"),
            ("{}", "{phase: Lost}", "Unknown: unknown phase Lost"),
        ],
    );
    let old = format!(
        "{{apiVersion: v1, kind: Pod, metadata: {{name: a, creationTimestamp: '2026-11-22T07:14:45Z'}}, status: {waiting}}}"
    );
    assert_eq!(judged(&old), "Degraded: Pod could not be scheduled");
}

#[test]
fn jobs_and_cron_jobs() {
    all(
        "batch/v1",
        "Job",
        &[
            ("{}", "{}", "Progressing: Job not started"),
            (
                "{}",
                "{startTime: '2026-11-22T07:15:00Z', active: 1}",
                "Healthy: Job in progress. success:0, active: 1, failed: 0",
            ),
            (
                "{parallelism: 2}",
                "{succeeded: 2, conditions: [{type: Complete, status: 'True'}]}",
                "Healthy: Job Completed. succeeded: 2/2",
            ),
            ("{}", "{failed: 1, conditions: [{type: Failed, status: 'True'}]}", "Degraded: Job Failed. failed: 1/1"),
            ("{suspend: true}", "{conditions: [{type: Suspended, status: 'True'}]}", "Healthy: Job is suspended"),
            ("{}", "{conditions: [{type: Suspended, status: 'True'}]}", "Progressing: Job not started"),
        ],
    );
    all("batch/v1", "CronJob", &[("{}", "{}", "Healthy: Resource is always ready")]);
}

#[test]
fn services_claims_budgets_and_data() {
    all(
        "v1",
        "Service",
        &[
            ("{}", "{}", "Healthy: Service is ready"),
            ("{type: LoadBalancer}", "{}", "Progressing: ClusterIP not set. Service type: LoadBalancer"),
            ("{type: LoadBalancer, clusterIP: 10.0.0.1}", "{}", "Healthy: Service is ready"),
        ],
    );
    all(
        "v1",
        "PersistentVolumeClaim",
        &[
            ("{}", "{}", "Progressing: PVC is not Bound. phase: unknown"),
            ("{}", "{phase: Lost}", "Progressing: PVC is not Bound. phase: Lost"),
            ("{}", "{phase: Bound}", "Healthy: PVC is Bound"),
        ],
    );
    all("policy/v1", "PodDisruptionBudget", &[("{}", "{}", "Healthy: AllowedDisruptions has been computed.")]);
    all("v1", "Secret", &[("{}", "{}", "Healthy: Resource is always ready")]);
    all("v1", "ConfigMap", &[("{}", "{}", "Healthy: Resource is always ready")]);
}

#[test]
fn definitions() {
    all(
        "apiextensions.k8s.io/v1",
        "CustomResourceDefinition",
        &[
            ("{}", "{}", "Progressing: Install in progress"),
            ("{}", "{conditions: [{type: NamesAccepted, status: 'False', message: taken}]}", "Degraded: taken"),
            (
                "{}",
                "{conditions: [{type: Established, status: 'False', reason: Installing, message: soon}]}",
                "Progressing: Install in progress",
            ),
            (
                "{}",
                "{conditions: [{type: Established, status: 'False', reason: Broken, message: bad}]}",
                "Degraded: bad",
            ),
            (
                "{}",
                "{conditions: [{type: NamesAccepted, status: 'True'}, {type: Established, status: 'True'}]}",
                "Healthy: CRD is established",
            ),
        ],
    );
}

#[test]
fn kinds_without_a_rule_are_judged_by_what_they_say() {
    let says = |kind: &str, status: &str| format!("{{conditions: [{{type: {kind}, status: '{status}', message: m}}]}}");
    all(
        "example.com/v1",
        "Queue",
        &[
            ("{}", "{}", "Healthy: Resource is current"),
            ("{}", &says("Ready", "True"), "Healthy: Resource is Ready"),
            ("{}", &says("Ready", "False"), "Progressing: m"),
            ("{}", &says("Ready", "Unknown"), "Progressing: m"),
            ("{}", &says("Ready", "Perhaps"), "Healthy: Resource is current"),
            ("{}", &says("Reconciling", "True"), "Progressing: m"),
            ("{}", &says("Stalled", "True"), "Degraded: m"),
            ("{}", &says("Stalled", "False"), "Healthy: Resource is current"),
            (
                "{}",
                "{observedGeneration: 2}",
                "Progressing: Queue generation is 1, but latest observed generation is 2",
            ),
        ],
    );
    let leaving = "{apiVersion: v1, kind: ConfigMap, metadata: {name: a, deletionTimestamp: '2026-11-22T07:15:00Z'}}";
    assert_eq!(judged(leaving), "Progressing: Resource scheduled for deletion");
}
