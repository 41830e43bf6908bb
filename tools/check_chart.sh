#!/usr/bin/env bash
# Checks the Helm chart: helm's own lint, every values file in ci/ rendered and
# held against Kubernetes' schemas, and bad values refused by the chart's
# schema and templates. What makes a cluster of the pods is looked at value by
# value. Needs no network. Usage: check_chart.sh [TALLY_FILE]
set -uo pipefail
cd "$(dirname "$0")/.."
TALLY=${1:-/dev/null}
CHART=helm/kafed
HELM=build/tools/helm
SCHEMA='{{ .ResourceKind }}_{{ .ResourceAPIVersion }}.json'
SCHEMAS="helm/schemas/{{ .Group }}/$SCHEMA"
OUT=$(mktemp -d)
trap 'rm -rf "$OUT"' EXIT
failed=0

check() {  # check NAME COMMAND...
  local name=$1
  shift
  if "$@" >"$OUT/log" 2>&1; then
    echo "helm: $name: pass"
    echo "pass $name" >>"$TALLY"
  else
    cat "$OUT/log"
    echo "helm: $name: fail"
    echo "fail $name" >>"$TALLY"
    failed=1
  fi
}

render() {  # render VALUES_FILE
  "$HELM" template test "$CHART" --namespace kafed -f "$1" >"$OUT/rendered.yaml"
}

conforms() {
  grep -q '^kind: StatefulSet' "$OUT/rendered.yaml" || return 1
  build/tools/kubeconform -strict -summary -schema-location "$SCHEMAS" \
    "$OUT/rendered.yaml"
}

# The schemas do refuse what Kubernetes would: one letter is wrong.
misspelt() {
  sed -i 's/serviceName:/serviceNam:/' "$OUT/rendered.yaml"
  ! conforms
}

# The message must name what is wrong, not only fail.
refused() {  # refused FIELD SETTING...
  local field=$1
  shift
  if "$HELM" template test "$CHART" "$@" >"$OUT/bad" 2>&1; then
    echo "accepted: $*"
    return 1
  fi
  cat "$OUT/bad"
  grep -qF -- "$field" "$OUT/bad"
}

# What was rendered has the value that was asked, at a place such as
# StatefulSet/test-kafed.spec.replicas; "absent" is a place with nothing.
# Property NAME of a node is kafed.yaml/NAME, variable NAME is env/NAME.
has() {  # has PLACE VALUE
  build/venv/bin/python3 tools/rendered.py "$OUT/rendered.yaml" "$1" "$2"
}

all_have() {  # all_have FILE PLACE VALUE [PLACE VALUE...]
  local bad=0
  render "$CHART/ci/$1-values.yaml" || return 1
  shift
  while [ $# -gt 0 ]; do
    has "$1" "$2" || bad=1
    shift 2
  done
  return $bad
}

for values in "$CHART"/ci/*-values.yaml; do
  name=$(basename "$values")
  check "lint $name" "$HELM" lint --strict "$CHART" -f "$values"
  check "template $name" render "$values"
  check "schemas $name" conforms
  check "configuration $name" has kafed.yaml/listen 0.0.0.0:7420
done
check "schemas refuse a misspelt field" misspelt
check "refuses an address in config" refused config \
  --set config.listen=0.0.0.0:1
check "refuses an unknown value" refused replicas --set replicas=3
check "refuses two nodes" refused replicaCount: --set replicaCount=2
check "refuses a wrong type" refused config --set config=x
check "refuses a bad port" refused grpcPort --set service.grpcPort=70000
check "refuses a bad size" refused size --set persistence.size=ten
check "refuses a nameless credential" refused existingSecret \
  --set 'credentials[0].name=a'
check "refuses a bad pull policy" refused pullPolicy \
  --set image.pullPolicy=Sometimes

SET=StatefulSet/test-kafed.spec
POD=$SET.template.spec
NODES=test-kafed-nodes.kafed.svc:7420
check "one local node is alone" all_have 03-local \
  "$SET.replicas" 1 kafed.yaml/log_backend local \
  kafed.yaml/log_servers absent kafed.yaml/region eu-north \
  kafed.yaml/log_budget_bytes 5000000000 \
  env/KAFED_ADVERTISE absent env/KAFED_PEERS absent \
  PodDisruptionBudget/test-kafed absent "$POD.topologySpreadConstraints" absent
check "three nodes find one another" all_have 04-zookeeper \
  "$SET.replicas" 3 "$SET.podManagementPolicy" Parallel \
  "$SET.updateStrategy.type" RollingUpdate \
  "$SET.serviceName" test-kafed-nodes \
  Service/test-kafed-nodes.spec.publishNotReadyAddresses True \
  Service/test-kafed-nodes.spec.clusterIP None \
  env/KAFED_ADVERTISE "\$(POD_NAME).$NODES" env/KAFED_PEERS "$NODES" \
  "$SET.volumeClaimTemplates.0.metadata.name" data
check "three nodes are kept apart" all_have 04-zookeeper \
  PodDisruptionBudget/test-kafed.spec.maxUnavailable 1 \
  "$POD.topologySpreadConstraints.0.topologyKey" topology.kubernetes.io/zone \
  "$POD.topologySpreadConstraints.1.topologyKey" kubernetes.io/hostname \
  "$POD.topologySpreadConstraints.1.whenUnsatisfiable" ScheduleAnyway \
  "$POD.terminationGracePeriodSeconds" 60
ZK=zk.storage.svc:2181
check "a ZooKeeper ensemble is passed on" all_have 04-zookeeper \
  kafed.yaml/log_backend zookeeper \
  kafed.yaml/log_servers "zk-0.$ZK,zk-1.$ZK,zk-2.$ZK" \
  kafed.yaml/log_path /platform/kafed \
  kafed.yaml/log_credentials log.credentials \
  kafed.yaml/log_ca_file absent StatefulSet/test-kafed-zookeeper absent \
  file/etc/kafed/secrets/east kafka-east-credentials:kafka.properties \
  file/etc/kafed/secrets/log.credentials kafed-zookeeper:credentials
TLS=/etc/kafed/log-tls
check "etcd's TLS and user are passed on" all_have 05-etcd \
  kafed.yaml/log_backend etcd kafed.yaml/log_path /kafed \
  kafed.yaml/log_ca_file $TLS/ca.crt \
  kafed.yaml/log_certificate_file $TLS/tls.crt \
  kafed.yaml/log_key_file $TLS/tls.key \
  kafed.yaml/log_credentials log.credentials \
  file$TLS/ca.crt kafed-etcd-tls:ca.crt \
  file$TLS/tls.crt kafed-etcd-tls:tls.crt \
  file$TLS/tls.key kafed-etcd-tls:tls.key \
  file/etc/kafed/secrets/log.credentials kafed-etcd-user:user-and-password
BUNDLED=StatefulSet/test-kafed-zookeeper.spec
check "the bundled ZooKeeper is the nodes' server" all_have 06-bundled \
  kafed.yaml/log_servers test-kafed-zookeeper.kafed.svc:2181 \
  kafed.yaml/log_budget_bytes 134217728 \
  "$BUNDLED.replicas" 1 "$BUNDLED.serviceName" test-kafed-zookeeper \
  "$BUNDLED.template.spec.containers.0.image" zookeeper:3.8 \
  Service/test-kafed-zookeeper.spec.clusterIP None \
  Service/test-kafed-zookeeper.spec.ports.0.port 2181
# A Service that selects the nodes must not lead clients to ZooKeeper.
check "no node's Service selects ZooKeeper" has \
  "$BUNDLED.template.metadata.labels.app\\.kubernetes\\.io/name" \
  kafed-zookeeper

# Only an installation shows NOTES.txt: here a copy of the chart renders it.
notes() {  # notes FILE TEXT...
  local notes=$OUT/chart/templates/notes.yaml
  rm -rf "$OUT/chart"
  cp -r "$CHART" "$OUT/chart"
  {
    echo '{{- define "notes" -}}'
    cat "$CHART/templates/NOTES.txt"
    echo '{{- end }}'
    echo 'notes: {{ include "notes" . | toJson }}'
  } >"$notes"
  "$HELM" template test "$OUT/chart" --namespace kafed \
    -f "$CHART/ci/$1-values.yaml" -s templates/notes.yaml >"$OUT/notes" ||
    return 1
  cat "$OUT/notes"
  shift
  local text
  for text in "$@"; do
    grep -qF -- "$text" "$OUT/notes" || return 1
  done
}
check "says how to see the nodes" notes 04-zookeeper \
  "7420 node list" "3 node(s) share the log at /platform/kafed of zk-0.zk"
check "says what the bundled one is for" notes 06-bundled \
  "FOR TRYING OUT ONLY" statefulset/test-kafed-zookeeper

ZOOKEEPER="log.backend=zookeeper,log.servers={zk-0:2181}"
ETCD="log.backend=etcd,log.servers={etcd-0:2379}"
check "refuses three nodes with a local log" refused \
  "replicaCount: 3 nodes need a log they share" --set replicaCount=3
check "refuses no node" refused replicaCount --set replicaCount=0
check "refuses a backend it does not know" refused backend \
  --set log.backend=redis
check "refuses ZooKeeper without servers" refused \
  "log.servers: log.backend zookeeper needs" --set log.backend=zookeeper
check "refuses etcd without servers" refused \
  "log.servers: log.backend etcd needs" --set log.backend=etcd
check "refuses servers of a local log" refused \
  "of no use with log.backend local" --set 'log.servers={zk-0:2181}'
check "refuses a server without a port" refused servers \
  --set 'log.backend=zookeeper,log.servers={zk-0}'
check "refuses a path with a slash at the end" refused path \
  --set "$ZOOKEEPER,log.path=/kafed/"
check "refuses TLS to ZooKeeper" refused \
  "log.tls: kafed's ZooKeeper client has no TLS" \
  --set "$ZOOKEEPER,log.tls.existingSecret=tls"
check "refuses a certificate without a key" refused \
  "log.tls.certificate, log.tls.key: expected both or neither" \
  --set "$ETCD,log.tls.existingSecret=tls,log.tls.key="
check "refuses a bundled etcd" refused "log.bundled: is a ZooKeeper" \
  --set "log.backend=etcd,log.bundled.enabled=true"
check "refuses a bundled one beside others" refused \
  "log.servers: must be empty with log.bundled.enabled" \
  --set "$ZOOKEEPER,log.bundled.enabled=true"
check "refuses an unknown name in log" refused server \
  --set "$ZOOKEEPER,log.server=zk"
check "refuses an unknown name in log.tls" refused caFile \
  --set "$ETCD,log.tls.caFile=x"
check "refuses an unknown name in log.bundled" refused replicas \
  --set log.bundled.replicas=3
check "refuses the log in config" refused config \
  --set config.log_backend=etcd
check "refuses the nodes' own variables" refused extraEnv \
  --set 'extraEnv[0].name=KAFED_PEERS,extraEnv[0].value=x'
check "packages" "$HELM" package "$CHART" -d "$OUT"
exit $failed
