//! Runs containerlab topologies in network namespaces, without containerlab or Docker.
