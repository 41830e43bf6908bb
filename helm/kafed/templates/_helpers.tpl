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

{{/* What the chart decides wins over values.config, which may not name it. */}}
{{- define "kafed.configuration" -}}
{{- $own := dict "listen" "0.0.0.0:7420" "http_listen" "0.0.0.0:7421"
      "data_dir" "/var/lib/kafed" }}
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
