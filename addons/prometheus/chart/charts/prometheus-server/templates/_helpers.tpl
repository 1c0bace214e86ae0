{{/* Names and labels of prometheus-server. */}}
{{- define "prometheus-server.fullname" -}}
{{- .Values.fullnameOverride | default "prometheus-server" | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- define "prometheus-server.selectorLabels" -}}
app.kubernetes.io/name: prometheus-server
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "prometheus-server.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{ include "prometheus-server.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end -}}

{{/* prometheus.yml */}}
{{- define "prometheus-server.config" -}}
global:
  scrape_interval: {{ dig "scrape_interval" "1m" .Values.global }}
  {{- with .Values.global.external_labels }}
  external_labels:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- if .Values.scrapeConfigMap }}
scrape_config_files:
  - /etc/prometheus-scrape/*.yml
{{- end }}
scrape_configs:
  - job_name: pods
    kubernetes_sd_configs:
      - role: pod
    relabel_configs:
      - source_labels: [__meta_kubernetes_pod_annotation_prometheus_io_scrape]
        action: keep
        regex: "true"
      - source_labels: [__address__, __meta_kubernetes_pod_annotation_prometheus_io_port]
        regex: ([^:]+)(?::\d+)?;(\d+)
        replacement: $1:$2
        target_label: __address__
{{- end -}}
