#!/usr/bin/env bash
# Checks the Helm chart: helm's own lint, every values file in ci/ rendered and
# held against Kubernetes' schemas, and bad values refused by the chart's
# schema. Needs no network. Usage: check_chart.sh [TALLY_FILE]
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

# The rendered configuration is a YAML mapping with the keys that were asked.
configuration() {  # configuration KEY VALUE
  build/venv/bin/python3 - "$OUT/rendered.yaml" "$1" "$2" <<'X'
import sys
import yaml
path, key, want = sys.argv[1:]
for doc in yaml.safe_load_all(open(path)):
    if doc and doc["kind"] == "ConfigMap":
        got = yaml.safe_load(doc["data"]["kafed.yaml"]).get(key)
        sys.exit(0 if str(got) == want else f"{key}: {got}, not {want}")
sys.exit("no ConfigMap")
X
}

for values in "$CHART"/ci/*-values.yaml; do
  name=$(basename "$values")
  check "lint $name" "$HELM" lint --strict "$CHART" -f "$values"
  check "template $name" render "$values"
  check "schemas $name" conforms
  check "configuration $name" configuration listen 0.0.0.0:7420
done
check "schemas refuse a misspelt field" misspelt
check "refuses an address in config" refused config \
  --set config.listen=0.0.0.0:1
check "refuses an unknown value" refused replicas --set replicas=3
check "refuses two nodes" refused replicaCount --set replicaCount=2
check "refuses a wrong type" refused config --set config=x
check "refuses a bad port" refused grpcPort --set service.grpcPort=70000
check "refuses a bad size" refused size --set persistence.size=ten
check "refuses a nameless credential" refused existingSecret \
  --set 'credentials[0].name=a'
check "refuses a bad pull policy" refused pullPolicy \
  --set image.pullPolicy=Sometimes
check "packages" "$HELM" package "$CHART" -d "$OUT"
exit $failed
