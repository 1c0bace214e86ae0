{{/* Names and labels of traefik-proxy. */}}
{{- define "traefik-proxy.fullname" -}}
{{- .Values.fullnameOverride | default "traefik-proxy" | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- define "traefik-proxy.selectorLabels" -}}
app.kubernetes.io/name: traefik-proxy
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "traefik-proxy.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{ include "traefik-proxy.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end -}}
