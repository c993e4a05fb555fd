//! Requests through a cluster's traffic objects, and the Prometheus API over their counters.
