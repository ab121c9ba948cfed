# The image `hitless:latest` that the files in topologies/ name.
#
#   docker build -t hitless:latest .

# The official Rust image, because the control plane needs Rust 1.95 and Debian's own compiler is older.
FROM rust:1.95-slim-bookworm AS build

# A second compiler, for the data path alone: Debian builds it with a `core` for eBPF, which rustup has not.
# (rustc-web is in the security archive of bookworm; it does not touch the Rust of the base image.)
RUN apt-get update \
 && apt-get install -y --no-install-recommends rustc-web cargo-web libstd-rust-web-dev-bpf \
 && rm -rf /var/lib/apt/lists/*

# The linker for the data path: the release that uses the LLVM of Debian's compiler, see
# ebpf_build::LINKER_RELEASE.
RUN CARGO_PROFILE_RELEASE_DEBUG=0 CARGO_PROFILE_RELEASE_OPT_LEVEL=1 \
    cargo install bpf-linker --locked --version 0.10.4

WORKDIR /hitless
COPY . .
# Without a data path there is no image.
RUN HITLESS_EBPF=require cargo build --release --locked --package hitless --package hitless-boot --bins


FROM debian:bookworm-slim

ARG VERSION=0.1.0
LABEL org.opencontainers.image.title="hitless" \
      org.opencontainers.image.description="A Linux layer 2 switch whose data path needs no process" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.licenses="MIT OR Apache-2.0"

RUN apt-get update \
 && apt-get install -y --no-install-recommends iproute2 \
 && rm -rf /var/lib/apt/lists/*

COPY --from=build /hitless/target/release/hitless /hitless/target/release/hitless-boot \
     /hitless/target/release/hitlessd /usr/local/bin/

# Process 1 of the container holds both management modules and outlives them: a container that is restarted loses
# every interface but eth0, and the data path with them. It mounts /sys/fs/bpf, so the container must be privileged.
CMD ["hitless", "chassis", "--config", "/etc/hitless/hitless.yaml"]
HEALTHCHECK --interval=5s --timeout=2s --start-period=2s --retries=3 CMD ["hitless", "show", "switch"]
