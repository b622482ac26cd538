{{/* egress: where Pods may go, those of Jobs included. */}}
{{- define "lazaret.egress" -}}
{{- $egress := .Values.networkPolicy.egress -}}
- ports:
    - port: 53
      protocol: UDP
    - port: 53
      protocol: TCP
  {{- with $egress.dns }}
  to:
    {{- toYaml . | nindent 4 }}
  {{- end }}
- ports:
    {{- range $egress.ports | default (include "lazaret.portsOut" . | fromJsonArray) }}
    - port: {{ int . }}
      protocol: TCP
    {{- end }}
  {{- with $egress.to }}
  to:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- with $egress.extra }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* portsOut: JSON list of the ports that the configuration names. */}}
{{- define "lazaret.portsOut" -}}
{{- $config := include "lazaret.config" . | fromYaml -}}
{{- $ports := list -}}
{{- range splitList "," $config.kafka.bootstrap -}}{{- $ports = append $ports (include "lazaret.port" (trim . | trimSuffix "}") | int) -}}{{- end -}}
{{- $urls := list -}}
{{- with $config.registry -}}{{- $urls = append $urls .url -}}{{- end -}}
{{- range $config.providers -}}{{- $urls = append $urls .base_url -}}{{- end -}}
{{- range $urls -}}
{{- $url := regexReplaceAll "^\\$\\{[A-Z_]+:-(.*)\\}$" . "${1}" -}}
{{- $port := regexFind ":[0-9]+" (regexReplaceAll "^[a-z]+://([^/]*).*$" $url "${1}") | trimPrefix ":" -}}
{{- $ports = append $ports ($port | default (ternary 443 80 (hasPrefix "https" $url)) | int) -}}
{{- end -}}
{{- range list "ledger" "index" "quarantine" -}}
{{- if dig . "postgres" "" $config -}}{{- $ports = append $ports 5432 -}}{{- end -}}
{{- end -}}
{{- if dig "sources" "http_hosts" list $config -}}{{- $ports = concat $ports (list 80 443) -}}{{- end -}}
{{- uniq $ports | toJson -}}
{{- end -}}
