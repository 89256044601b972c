{{/* The beginning of every object's name: the release's, or <release>-kelola when it does not say so itself. */}}
{{- define "kelola.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* What selects pods. Arguments: root, component (finance, finance-relay, finance-migrate). It may never change. */}}
{{- define "kelola.selector" -}}
app.kubernetes.io/name: {{ .root.Chart.Name }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{/* The recommended labels. Arguments: root, component. */}}
{{- define "kelola.labels" -}}
{{ include "kelola.selector" . }}
app.kubernetes.io/version: {{ .root.Values.image.tag | default .root.Chart.AppVersion | quote }}
app.kubernetes.io/part-of: kelola
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
{{- end -}}

{{/* The image: by digest where one is given, which names the same bytes for ever. */}}
{{- define "kelola.image" -}}
{{- if .Values.image.digest -}}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" .Values.image.repository (.Values.image.tag | default .Chart.AppVersion) -}}
{{- end -}}
{{- end -}}

{{/* What the templates know of the services (files/services.yaml, generated): calls, consumes. */}}
{{- define "kelola.known" -}}
{{ .Files.Get "files/services.yaml" }}
{{- end -}}

{{/* A service's values: the defaults, and what is set for it alone. Arguments: root, service. */}}
{{- define "kelola.service" -}}
{{ mergeOverwrite (deepCopy .root.Values.serviceDefaults) (deepCopy (index .root.Values.services .service)) | toYaml }}
{{- end -}}

{{/* Where the keys of people's tokens are. Arguments: root, service. Identity asks itself, without the network. */}}
{{- define "kelola.jwksUrl" -}}
{{- if .root.Values.jwksUrl -}}
{{- .root.Values.jwksUrl -}}
{{- else if eq .service "identity" -}}
http://127.0.0.1:8080/jwks.json
{{- else -}}
{{- printf "http://%s-identity.%s.svc:8080/jwks.json" (include "kelola.fullname" .root) .root.Release.Namespace -}}
{{- end -}}
{{- end -}}

{{/*
How long a pod may take to end: the notice, the running calls, and what telemetry buffers (two flushes of five seconds,
chassis/telemetry.py), with some seconds to spare. Killed before that, a process would cut calls short.
*/}}
{{- define "kelola.graceSeconds" -}}
{{- add .Values.drainNoticeSeconds .Values.graceSeconds 15 -}}
{{- end -}}

{{/* What every pod of ours has: an account that may ask the cluster for nothing, no root, no service variables. */}}
{{- define "kelola.pod" -}}
automountServiceAccountToken: false
# Kubernetes would otherwise set variables like KELOLA_FINANCE_PORT, which the services would read as settings.
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  # The keys' volumes are readable by this group, and by nobody else.
  fsGroup: 10001
  seccompProfile: {type: RuntimeDefault}
{{- with .Values.imagePullSecrets }}
imagePullSecrets: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- end -}}

{{/* What every container of ours has. */}}
{{- define "kelola.container" -}}
image: {{ include "kelola.image" . }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  runAsNonRoot: true
  capabilities: {drop: [ALL]}
{{- end -}}

{{/* A variable whose value is a database's URL in a Secret. Arguments: name, secret. */}}
{{- define "kelola.databaseUrl" -}}
- name: {{ .name }}
  valueFrom: {secretKeyRef: {name: {{ .secret }}, key: url}}
{{- end -}}

{{/* Who a process is in traces and metrics: without it, the figures of two pods would overwrite each other. */}}
{{- define "kelola.instance" -}}
- name: POD_NAME
  valueFrom: {fieldRef: {fieldPath: metadata.name}}
- name: OTEL_RESOURCE_ATTRIBUTES
  value: "service.instance.id=$(POD_NAME),k8s.pod.name=$(POD_NAME),k8s.namespace.name={{ .Release.Namespace }}"
{{- end -}}

{{/* Where keys and certificates are mounted. Arguments: root, broker (whether the process speaks to the broker). */}}
{{- define "kelola.mounts" -}}
- {name: tmp, mountPath: /tmp}
- {name: key, mountPath: /etc/kelola/key, readOnly: true}
{{- if .broker }}
- {name: broker, mountPath: /etc/kelola/broker, readOnly: true}
{{- end }}
{{- if .root.Values.databaseCaSecret }}
- {name: database-ca, mountPath: /etc/kelola/database, readOnly: true}
{{- end }}
{{- end -}}

{{/* Their volumes. Arguments: root, keySecret, brokerSecret (none: no broker). */}}
{{- define "kelola.volumes" -}}
- name: tmp
  emptyDir: {sizeLimit: 64Mi}
- name: key
  secret: {secretName: {{ .keySecret }}, defaultMode: 0440}
{{- if .brokerSecret }}
- name: broker
  projected:
    defaultMode: 0440
    sources:
      # Strimzi's secret of a user also holds a ca.crt, but of the authority that signs clients, not of the brokers'.
      - secret:
          name: {{ .root.Values.brokerCaSecret }}
          items: [{key: ca.crt, path: ca.crt}]
      - secret:
          name: {{ .brokerSecret }}
          items: [{key: user.crt, path: user.crt}, {key: user.key, path: user.key}]
{{- end }}
{{- include "kelola.databaseCaVolume" .root }}
{{- end -}}

{{- define "kelola.databaseCaVolume" -}}
{{- with .Values.databaseCaSecret }}
- name: database-ca
  secret: {secretName: {{ . }}, defaultMode: 0440, items: [{key: ca.crt, path: ca.crt}]}
{{- end }}
{{- end -}}
