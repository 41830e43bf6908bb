{{- define "kafed.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "kafed.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 52 | trimSuffix "-" }}
{{- else }}
{{- $name := include "kafed.name" . }}
{{- if contains $name .Release.Name }}
{{- .Release.Name | trunc 52 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name $name | trunc 52 | trimSuffix "-" }}
{{- end }}
{{- end }}
{{- end }}

{{- define "kafed.selector" -}}
app.kubernetes.io/name: {{ include "kafed.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "kafed.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{ include "kafed.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{- define "kafed.serviceAccount" -}}
{{- if .Values.serviceAccount.create }}
{{- default (include "kafed.fullname" .) .Values.serviceAccount.name }}
{{- else }}
{{- default "default" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{- define "kafed.zookeeper" -}}
{{- printf "%s-zookeeper" (include "kafed.fullname" . | trunc 42 | trimSuffix "-") }}
{{- end }}

{{/* Never what the nodes' Services select. */}}
{{- define "kafed.zookeeperSelector" -}}
app.kubernetes.io/name: {{ include "kafed.name" . | trunc 53 | trimSuffix "-" }}-zookeeper
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "kafed.zookeeperLabels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{ include "kafed.zookeeperSelector" . }}
app.kubernetes.io/version: {{ .Values.log.bundled.image.tag | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{/* "true" or nothing. */}}
{{- define "kafed.shared" -}}
{{- if ne .Values.log.backend "local" }}true{{ end }}
{{- end }}

{{- define "kafed.nodesHost" -}}
{{ include "kafed.fullname" . }}-nodes.{{ .Release.Namespace }}.svc
{{- end }}

{{/* HOST:PORT[,HOST:PORT...] of the servers that keep a shared log. */}}
{{- define "kafed.logServers" -}}
{{- if .Values.log.bundled.enabled }}
{{- include "kafed.zookeeper" . }}.{{ .Release.Namespace }}.svc:2181
{{- else }}
{{- join "," .Values.log.servers }}
{{- end }}
{{- end }}

{{/*
What values.schema.json can't say in words: which values go together. Each
message names the value and what to do.
*/}}
{{- define "kafed.validate" -}}
{{- $log := .Values.log }}
{{- $tls := $log.tls }}
{{- if eq $log.backend "local" }}
{{- if gt (int .Values.replicaCount) 1 }}
{{- fail (printf "replicaCount: %d nodes need a log they share; set log.backend to zookeeper or etcd" (int .Values.replicaCount)) }}
{{- end }}
{{- if or $log.servers $log.credentialsSecret.name $tls.existingSecret $log.bundled.enabled }}
{{- fail "log.servers, log.credentialsSecret, log.tls, log.bundled: are of no use with log.backend local; set it to zookeeper or etcd" }}
{{- end }}
{{- else if $log.bundled.enabled }}
{{- if ne $log.backend "zookeeper" }}
{{- fail "log.bundled: is a ZooKeeper; set log.backend to zookeeper" }}
{{- end }}
{{- if $log.servers }}
{{- fail "log.servers: must be empty with log.bundled.enabled, which is the one server" }}
{{- end }}
{{- else if not $log.servers }}
{{- fail (printf "log.servers: log.backend %s needs the HOST:PORT of its servers; to try out, zookeeper with log.bundled.enabled" $log.backend) }}
{{- end }}
{{- if and $tls.existingSecret (ne $log.backend "etcd") }}
{{- fail "log.tls: kafed's ZooKeeper client has no TLS; use a private network or log.backend etcd" }}
{{- end }}
{{- if ne (empty $tls.certificate) (empty $tls.key) }}
{{- fail "log.tls.certificate, log.tls.key: expected both or neither" }}
{{- end }}
{{- end }}

{{/* What the chart decides wins over values.config, which may not name it. */}}
{{- define "kafed.configuration" -}}
{{- include "kafed.validate" . }}
{{- $log := .Values.log }}
{{- $own := dict "listen" "0.0.0.0:7420" "http_listen" "0.0.0.0:7421"
      "data_dir" "/var/lib/kafed" "log_backend" $log.backend }}
{{- if include "kafed.shared" . }}
{{- $_ := set $own "log_servers" (include "kafed.logServers" .) }}
{{- $_ := set $own "log_path" $log.path }}
{{- if $log.credentialsSecret.name }}
{{- $_ := set $own "log_credentials" "log.credentials" }}
{{- end }}
{{- if $log.tls.existingSecret }}
{{- $_ := set $own "log_ca_file" "/etc/kafed/log-tls/ca.crt" }}
{{- if $log.tls.certificate }}
{{- $_ := set $own "log_certificate_file" "/etc/kafed/log-tls/tls.crt" }}
{{- $_ := set $own "log_key_file" "/etc/kafed/log-tls/tls.key" }}
{{- end }}
{{- end }}
{{- end }}
{{- if and $log.bundled.enabled (not (hasKey .Values.config "log_budget_bytes")) }}
{{- /* ZooKeeper holds the log in its heap: a quarter, for copies and snapshots. */}}
{{- $_ := set $own "log_budget_bytes" (mul $log.bundled.heapMegabytes 262144) }}
{{- end }}
{{- with .Values.region }}
{{- $_ := set $own "region" . }}
{{- end }}
{{- toYaml (merge $own (deepCopy .Values.config)) }}
{{- end }}

{{/* kafed.probe (list PATH SETTINGS) */}}
{{- define "kafed.probe" -}}
httpGet:
  path: {{ index . 0 }}
  port: http
{{- with index . 1 }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* The image's entrypoint writes a zoo.cfg only where there is none. */}}
{{- define "kafed.zookeeperConfiguration" -}}
dataDir=/data
clientPort=2181
tickTime=2000
maxClientCnxns=0
admin.enableServer=false
4lw.commands.whitelist=srvr
autopurge.snapRetainCount=3
autopurge.purgeInterval=1
{{- end }}
