{{/* Names and labels of fluentd. */}}
{{- define "fluentd.fullname" -}}
{{- .Values.fullnameOverride | default "fluentd" | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- define "fluentd.selectorLabels" -}}
app.kubernetes.io/name: fluentd
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "fluentd.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{ include "fluentd.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end -}}
