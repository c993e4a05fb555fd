//! Normalise, compare, inventory, prune and health of Kubernetes objects.
