{{/* Egress rules, each to one thing. An empty list of peers would mean everywhere; values.schema.json refuses it. */}}

{{- define "kelola.toDns" -}}
- to: {{- toYaml .Values.networkPolicy.dnsPeers | nindent 4 }}
  ports:
    - {protocol: UDP, port: 53}
    - {protocol: TCP, port: 53}
{{- end -}}

{{- define "kelola.toDatabase" -}}
- to: {{- toYaml .Values.networkPolicy.databasePeers | nindent 4 }}
  ports: [{protocol: TCP, port: {{ .Values.networkPolicy.databasePort }}}]
{{- end -}}

{{- define "kelola.toBroker" -}}
- to: {{- toYaml .Values.networkPolicy.brokerPeers | nindent 4 }}
  ports: [{protocol: TCP, port: {{ .Values.networkPolicy.brokerPort }}}]
{{- end -}}

{{- define "kelola.toCollector" -}}
{{- if .Values.otlpEndpoint -}}
- to: {{- toYaml .Values.networkPolicy.collectorPeers | nindent 4 }}
  ports: [{protocol: TCP, port: {{ .Values.networkPolicy.collectorPort }}}]
{{- end -}}
{{- end -}}
