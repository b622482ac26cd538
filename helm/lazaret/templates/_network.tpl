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

{{/* addresses: JSON list of what the configuration names to go to, with variables replaced by their defaults. */}}
{{- define "lazaret.addresses" -}}
{{- $config := include "lazaret.config" . | fromYaml -}}
{{- $addresses := splitList "," (include "lazaret.withDefaults" $config.kafka.bootstrap) -}}
{{- with dig "token" "endpoint" "url" "" ($config.kafka.security | default dict) -}}{{- $addresses = append $addresses (include "lazaret.withDefaults" .) -}}{{- end -}}
{{- with $config.registry -}}{{- $addresses = append $addresses (include "lazaret.withDefaults" .url) -}}{{- end -}}
{{- range $config.providers -}}{{- $addresses = append $addresses (include "lazaret.withDefaults" .base_url) -}}{{- end -}}
{{- with ($config.ops).oidc -}}
{{- range compact (list .issuer (.jwks).url) -}}{{- $addresses = append $addresses (include "lazaret.withDefaults" .) -}}{{- end -}}
{{- end -}}
{{- $archive := dig "quarantine" "archive" dict $config -}}
{{- if hasPrefix "s3://" ($archive.to | default "") -}}
{{- $addresses = append $addresses (include "lazaret.withDefaults" (dig "s3" "endpoint" "https://amazonaws.com" $archive)) -}}
{{- end -}}
{{- toJson $addresses -}}
{{- end -}}

{{- define "lazaret.withDefaults" -}}
{{- regexReplaceAll "\\$\\{[A-Za-z0-9_]+:-([^}]*)\\}" (toString .) "${1}" -}}
{{- end -}}

{{/* portsOut: JSON list of the ports that the configuration names. */}}
{{- define "lazaret.portsOut" -}}
{{- $config := include "lazaret.config" . | fromYaml -}}
{{- $ports := list -}}
{{- range include "lazaret.addresses" . | fromJsonArray -}}
{{- $port := regexFind ":[0-9]+$" (regexReplaceAll "^[a-z]+://([^/]*).*$" (trim .) "${1}") | trimPrefix ":" -}}
{{- $ports = append $ports ($port | default (ternary 443 80 (hasPrefix "https" .)) | int) -}}
{{- end -}}
{{- range list "ledger" "index" "quarantine" -}}
{{- if dig . "postgres" "" $config -}}{{- $ports = append $ports 5432 -}}{{- end -}}
{{- end -}}
{{- if dig "sources" "http_hosts" list $config -}}{{- $ports = concat $ports (list 80 443) -}}{{- end -}}
{{- uniq $ports | toJson -}}
{{- end -}}
