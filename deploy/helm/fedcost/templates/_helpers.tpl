{{- define "fedcost.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 50 | trimSuffix "-" -}}
{{- end -}}

{{- define "fedcost.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" -}}
{{- else if contains (include "fedcost.name" .) .Release.Name -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "fedcost.name" .) | trunc 50 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* The templates below take (dict "root" $ "key" "storage"). */}}
{{- define "fedcost.service" -}}{{ .key }}-svc{{- end -}}
{{- define "fedcost.object" -}}{{ include "fedcost.fullname" .root }}-{{ .key }}{{- end -}}

{{- define "fedcost.selector" -}}
app.kubernetes.io/name: {{ include "fedcost.name" .root }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ include "fedcost.service" . }}
{{- end -}}

{{- define "fedcost.labels" -}}
{{ include "fedcost.selector" . }}
{{ include "fedcost.commonLabels" .root }}
{{- end -}}

{{- define "fedcost.commonLabels" -}}
app.kubernetes.io/part-of: fedcost
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{- define "fedcost.releaseLabels" -}}
app.kubernetes.io/name: {{ include "fedcost.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{ include "fedcost.commonLabels" . }}
{{- end -}}

{{- define "fedcost.serviceAccount" -}}
{{- $account := (index .root.Values .key).serviceAccount -}}
{{- if $account.create -}}
{{- default (include "fedcost.object" .) $account.name -}}
{{- else -}}
{{- default "default" $account.name -}}
{{- end -}}
{{- end -}}

{{- define "fedcost.image" -}}
{{- $image := .root.Values.image -}}
{{- $parts := list $image.registry $image.repository (include "fedcost.service" .) | compact -}}
{{- printf "%s:%s" (join "/" $parts) (default .root.Chart.AppVersion $image.tag) -}}
{{- end -}}

{{- define "fedcost.tlsSecret" -}}
{{- if eq .root.Values.certificates.mode "existing" -}}
{{- required (printf "certificates.existing.%s: the name of a secret is needed with mode existing" .key) (index .root.Values.certificates.existing .key) -}}
{{- else -}}
{{- include "fedcost.object" . }}-tls
{{- end -}}
{{- end -}}

{{- define "fedcost.port" -}}
{{- index (dict "storage" 7001 "ingest" 7002 "query" 7003 "gateway" 9090) .key -}}
{{- end -}}

{{- define "fedcost.portName" -}}
{{- if eq .key "gateway" }}http{{ else }}grpc{{ end -}}
{{- end -}}

{{- define "fedcost.adminPort" -}}9464{{- end -}}

{{/* How another service is called: its certificate has its Service's names. */}}
{{- define "fedcost.address" -}}
https://{{ include "fedcost.object" . }}:{{ include "fedcost.port" . }}
{{- end -}}

{{/* The port of the collector: the one in its address, or the protocol's usual one. */}}
{{- define "fedcost.otlpPort" -}}
{{- $host := (urlParse .Values.tracing.endpoint).host -}}
{{- if regexMatch ":[0-9]+$" $host -}}
{{- regexFind "[0-9]+$" $host -}}
{{- else -}}
{{- ternary "4317" "4318" (eq .Values.tracing.protocol "grpc") -}}
{{- end -}}
{{- end -}}

{{/* The service's own file, as YAML: what the chart knows, then what `config` adds. */}}
{{- define "fedcost.config" -}}
{{- $root := .root -}}
{{- $keys := $root.Values.certificates.keys -}}
{{- $tls := dict "ca" (printf "/tls/%s" $keys.ca) "cert" (printf "/tls/%s" $keys.cert) "key" (printf "/tls/%s" $keys.key) -}}
{{- if and $keys.crl (ne .key "gateway") -}}
{{- $_ := set $tls "crl" (printf "/tls/%s" $keys.crl) -}}
{{- end -}}
{{- $server := dict
  "listen" (printf "%s:%s" $root.Values.listenAddress (include "fedcost.port" .))
  "tls" $tls
  "trust_domain" $root.Values.trustDomain
  "log" $root.Values.log -}}
{{- if $root.Values.admin.enabled -}}
{{- $_ := set $server "admin" (dict "listen" (printf "%s:%s" $root.Values.listenAddress (include "fedcost.adminPort" .))) -}}
{{- end -}}
{{- with $root.Values.tracing -}}
{{- if .endpoint -}}
{{- $tracing := dict "endpoint" .endpoint "protocol" .protocol "sample_ratio" .sampleRatio -}}
{{- if or .ca.configMap .ca.secret -}}
{{- $_ := set $tracing "ca" (printf "/otlp/%s" .ca.key) -}}
{{- end -}}
{{- $_ := set $server "tracing" $tracing -}}
{{- end -}}
{{- end -}}
{{- $config := dict "server" $server -}}
{{- $address := dict -}}
{{- range $other := list "storage" "ingest" "query" -}}
{{- $_ := set $address $other (dict "address" (include "fedcost.address" (dict "root" $root "key" $other))) -}}
{{- end -}}
{{- if eq .key "storage" -}}
{{- if $root.Values.store.volume.enabled -}}
{{- $_ := set $config "directory" "/bucket" -}}
{{- else -}}
{{- $_ := set $config "store" (printf "/etc/fedcost/store/%s" $root.Values.store.key) -}}
{{- end -}}
{{- $_ := set $config "strict" $root.Values.store.strict -}}
{{- else if eq .key "gateway" -}}
{{- $_ := set $config "query" $address.query -}}
{{- $_ := set $config "ingest" $address.ingest -}}
{{- $_ := set $config "access" (deepCopy $root.Values.gateway.access.config) -}}
{{- if $root.Values.views.existingClaim -}}
{{- $_ := set $config "views" (dict "directory" "/views") -}}
{{- end -}}
{{- else -}}
{{- $_ := set $config "storage" $address.storage -}}
{{- end -}}
{{- toYaml (mergeOverwrite $config (deepCopy (index $root.Values .key).config)) -}}
{{- end -}}

{{/* What a probe asks: the port for those who run the service, or else the service's own. */}}
{{- define "fedcost.probe" -}}
{{- if .root.Values.admin.enabled -}}
httpGet: {path: {{ .path }}, port: admin}
{{- else if eq .key "gateway" -}}
httpGet: {path: {{ .path }}, port: http}
{{- else -}}
tcpSocket: {port: grpc}
{{- end -}}
{{- end -}}
