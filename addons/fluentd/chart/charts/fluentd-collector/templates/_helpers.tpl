{{/* Names and labels of fluentd-collector. */}}
{{- define "fluentd-collector.fullname" -}}
{{- .Values.fullnameOverride | default "fluentd-collector" | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- define "fluentd-collector.selectorLabels" -}}
app.kubernetes.io/name: fluentd-collector
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "fluentd-collector.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{ include "fluentd-collector.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end -}}
