# Builds the `lazaret` binary and puts it into an empty image with the libraries that it is linked with, certificates and time zones:
# no shell, no package manager. docs/image.md tells how, for which machines, and what else comes with it.
ARG RUST_IMAGE=rust:1.95.0-bookworm

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
# `--version --json` and the metric `lazaret_build_info` tell it. Named here and not above, so that it does not rebuild the dependencies.
ARG REVISION=unknown
ENV LAZARET_REVISION=${REVISION}
# Cargo compares times, and the files copied from the repository may be older than the empty crate.
RUN touch src/main.rs src/lib.rs \
 && cargo build --release --locked --bin lazaret \
 && strip --strip-debug target/release/lazaret

# Programs that go with it. None in a released image; docker-compose.yml has some, for its checks of health and its scripts.
ARG TOOLS=""
RUN apt-get update \
 && apt-get install --yes --no-install-recommends python3 \
 && scripts/image/rootfs.sh target/release/lazaret /rootfs ${TOOLS} \
 && scripts/sbom.py >/rootfs/usr/share/doc/lazaret/lazaret.cdx.json

FROM scratch
COPY --from=build /rootfs/ /

# Fails the build, and not the first start, when a shared library is missing.
RUN ["/usr/local/bin/lazaret", "--version", "--json"]

# A number, not a name: Kubernetes can only check `runAsNonRoot` against a number.
USER 65532:65532
# Relative paths of the configuration (data/ledger.db) end up here.
WORKDIR /var/lib/lazaret
VOLUME /var/lib/lazaret
EXPOSE 9464 9465

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
      org.opencontainers.image.vendor="Lazaret" \
      org.opencontainers.image.url="https://github.com/lazaret/lazaret" \
      org.opencontainers.image.documentation="https://github.com/lazaret/lazaret/blob/main/docs/image.md" \
      org.opencontainers.image.source="https://github.com/lazaret/lazaret" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.created="${CREATED}"
