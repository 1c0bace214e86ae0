{{/* Names and labels of eosxd. */}}
{{- define "eosxd.fullname" -}}
{{- .Values.fullnameOverride | default "eosxd" | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- define "eosxd.selectorLabels" -}}
app.kubernetes.io/name: eosxd
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "eosxd.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{ include "eosxd.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end -}}
