{{/* Names and labels of prometheus. */}}
{{- define "prometheus.fullname" -}}
{{- .Values.fullnameOverride | default "prometheus" | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- define "prometheus.selectorLabels" -}}
app.kubernetes.io/name: prometheus
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "prometheus.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{ include "prometheus.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end -}}

{{/* A DaemonSet of one exporter: a dict of root, name, port and exporter (its values). */}}
{{- define "prometheus.exporter" -}}
apiVersion: apps/v1
kind: DaemonSet
metadata:
  name: {{ .name }}
  labels:
    {{- include "prometheus.labels" .root | nindent 4 }}
    app.kubernetes.io/component: {{ .name }}
spec:
  updateStrategy:
    rollingUpdate: {maxUnavailable: 10%}
  selector:
    matchLabels:
      {{- include "prometheus.selectorLabels" .root | nindent 6 }}
      app.kubernetes.io/component: {{ .name }}
  template:
    metadata:
      labels:
        {{- include "prometheus.selectorLabels" .root | nindent 8 }}
        app.kubernetes.io/component: {{ .name }}
      annotations:
        prometheus.io/scrape: "true"
        prometheus.io/port: {{ .port | quote }}
    spec:
      automountServiceAccountToken: false
      {{- if .exporter.hostMetrics }}
      hostNetwork: true
      hostPID: true
      {{- end }}
      tolerations:
        - operator: Exists
      containers:
        - name: exporter
          image: {{ .exporter.image }}
          {{- with .exporter.args }}
          args:
            {{- toYaml . | nindent 12 }}
          {{- end }}
          ports:
            - {name: metrics, containerPort: {{ .port }}}
          readinessProbe:
            httpGet: {path: /, port: metrics}
          resources:
            {{- toYaml .exporter.resources | nindent 12 }}
          {{- if .exporter.hostMetrics }}
          securityContext:
            allowPrivilegeEscalation: false
            readOnlyRootFilesystem: true
            runAsNonRoot: true
            runAsUser: 65534
          volumeMounts:
            - {name: root, mountPath: /host, readOnly: true, mountPropagation: HostToContainer}
          {{- end }}
      {{- if .exporter.hostMetrics }}
      volumes:
        - name: root
          hostPath: {path: /}
      {{- end }}
{{- end -}}
