{{/* The settings of a service that are no secret, as variables. Arguments: root, service, known. */}}
{{- define "kelola.settings" -}}
{{- $root := .root -}}
{{- $service := .service -}}
{{- $known := .known -}}
{{- $values := include "kelola.service" . | fromYaml -}}
{{- $peers := dict -}}
{{- range $known.calls -}}
{{- $_ := set $peers . (printf "%s-%s.%s.svc:50051" (include "kelola.fullname" $root) . $root.Release.Namespace) -}}
{{- end -}}
KELOLA_VERSION: {{ $root.Values.image.tag | default $root.Chart.AppVersion | quote }}
KELOLA_LOG_LEVEL: {{ $root.Values.logLevel | quote }}
KELOLA_CIVIL_ZONE: {{ $root.Values.civilZone | quote }}
KELOLA_GRPC_HOST: 0.0.0.0
KELOLA_GRPC_PORT: "50051"
KELOLA_GRACE_SECONDS: {{ $root.Values.graceSeconds | quote }}
KELOLA_DRAIN_NOTICE_SECONDS: {{ $root.Values.drainNoticeSeconds | quote }}
KELOLA_CONNECTION_AGE_SECONDS: {{ $root.Values.connectionAgeSeconds | quote }}
KELOLA_CALLS_MAX: {{ $values.callsMax | quote }}
KELOLA_STREAMS_MAX: {{ $values.streamsMax | quote }}
KELOLA_DATABASE_POOL_SIZE: {{ $values.databasePoolSize | quote }}
KELOLA_TOKEN_ISSUER: {{ $root.Values.tokenIssuer | quote }}
KELOLA_JWKS_URL: {{ include "kelola.jwksUrl" (dict "root" $root "service" $service) | quote }}
KELOLA_SERVICE_JWKS_URL: file:///etc/kelola/service-keys/services.jwks.json
KELOLA_SERVICE_KEY_FILE: /etc/kelola/key/service.jwk
KELOLA_PEERS: {{ $peers | toJson | quote }}
# The relay is a Deployment of its own.
KELOLA_RELAY_ENABLED: "false"
{{- with $root.Values.otlpEndpoint }}
KELOLA_OTLP_ENDPOINT: {{ . | quote }}
{{- end }}
{{- if eq $service "identity" }}
KELOLA_HTTP_HOST: 0.0.0.0
KELOLA_HTTP_PORT: "8080"
KELOLA_HTTP_PUBLIC_URL: {{ $root.Values.httpPublicUrl | default (printf "http://%s-identity.%s.svc:8080" (include "kelola.fullname" $root) $root.Release.Namespace) | quote }}
KELOLA_SEALING_KEYS_FILE: /etc/kelola/identity/sealing_keys.json
KELOLA_TOKEN_KEYS_FILE: /etc/kelola/identity/token_keys.json
KELOLA_CLIENT_JWKS: /etc/kelola/identity/clients.jwks.json
{{- end }}
{{- end -}}

{{/* The settings of what speaks to the broker: relays, and services that consume events. */}}
{{- define "kelola.brokerSettings" -}}
KELOLA_BROKER_SERVERS: {{ $.Values.brokerServers | quote }}
KELOLA_BROKER_CA_FILE: /etc/kelola/broker/ca.crt
KELOLA_BROKER_CERTIFICATE_FILE: /etc/kelola/broker/user.crt
KELOLA_BROKER_KEY_FILE: /etc/kelola/broker/user.key
{{- end -}}

{{/* Changes when the settings do: processes read them at the start alone, so other settings mean new pods. */}}
{{- define "kelola.settingsSum" -}}
{{- printf "%s\n%s" (include "kelola.settings" .) (include "kelola.brokerSettings" .root) | sha256sum -}}
{{- end -}}
