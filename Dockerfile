# Builds the `lazaret` binary and puts it, alone, on a small Debian. Both stages are the same Debian release, so that
# the binary meets the glibc and OpenSSL it was linked with.
ARG RUST_IMAGE=rust:1.95.0-bookworm
ARG BASE_IMAGE=debian:12.12-slim

FROM ${RUST_IMAGE} AS build
# Configures librdkafka, with which the image's other tools build it.
RUN apt-get update \
 && apt-get install --yes --no-install-recommends cmake \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /src

# The dependencies (librdkafka, SQLite, …) take minutes and change rarely: they get a layer of their own, built with
# an empty crate in place of ours. It stays valid until Cargo.toml or Cargo.lock changes.
COPY Cargo.toml Cargo.lock ./
RUN mkdir -p src tests/it benches/load \
 && echo 'fn main() {}' | tee src/main.rs tests/it/main.rs benches/index.rs benches/ledger.rs benches/pace.rs benches/quarantine.rs benches/load/main.rs \
 && touch src/lib.rs \
 && cargo build --release --locked --bin lazaret \
 && rm -r src tests benches

COPY . .
# The metric `lazaret_build_info` tells it. Named here and not above, so that it does not rebuild the dependencies.
ARG REVISION=unknown
ENV LAZARET_REVISION=${REVISION}
# Cargo compares times, and the files copied from the repository may be older than the empty crate.
RUN touch src/main.rs src/lib.rs \
 && cargo build --release --locked --bin lazaret \
 && strip --strip-debug target/release/lazaret

FROM ${BASE_IMAGE}
# What the binary is linked with, and the certificates by which it trusts providers and registries.
RUN apt-get update \
 && apt-get install --yes --no-install-recommends ca-certificates libssl3 zlib1g \
 && rm -rf /var/lib/apt/lists/* \
 && install --directory --owner=65532 --group=65532 --mode=0750 /var/lib/lazaret

COPY --from=build /src/target/release/lazaret /usr/local/bin/lazaret
COPY LICENSE /usr/share/doc/lazaret/LICENSE

# Fails the build, and not the first start, when a shared library is missing.
RUN ["/usr/local/bin/lazaret", "--version"]

# A number, not a name: Kubernetes can only check `runAsNonRoot` against a number.
USER 65532:65532
# Relative paths of the configuration (data/ledger.db) end up here.
WORKDIR /var/lib/lazaret
VOLUME /var/lib/lazaret
EXPOSE 9464

# Probes are /livez and /readyz; the orchestrator asks them.
HEALTHCHECK NONE
STOPSIGNAL SIGTERM
ENTRYPOINT ["/usr/local/bin/lazaret"]
CMD ["--help"]

ARG VERSION=0.1.0-dev
ARG REVISION=unknown
ARG CREATED=1970-01-01T00:00:00Z
LABEL org.opencontainers.image.title="Lazaret" \
      org.opencontainers.image.description="Runs the stages of RAG and LLM pipelines on Kafka, with a retry ladder, dead letters and a job ledger" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.source="https://github.com/lazaret/lazaret" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.created="${CREATED}"
