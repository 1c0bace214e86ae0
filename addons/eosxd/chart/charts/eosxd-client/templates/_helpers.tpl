{{/* Names and labels of eosxd-client. */}}
{{- define "eosxd-client.fullname" -}}
{{- .Values.fullnameOverride | default "eosxd-client" | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- define "eosxd-client.selectorLabels" -}}
app.kubernetes.io/name: eosxd-client
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "eosxd-client.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{ include "eosxd-client.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end -}}
