//! One split of traffic to the objects of each provider.
