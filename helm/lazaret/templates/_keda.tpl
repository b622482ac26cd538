{{/* KEDA asks Kafka itself, and is told how from what the configuration and `existingSecrets` say. */}}

{{/* secretOf {root, env|file}: JSON {name, key} of the Secret that holds it; {} when it is in none of existingSecrets. */}}
{{- define "lazaret.secretOf" -}}
{{- $found := dict -}}
{{- $env := .env -}}
{{- $file := .file -}}
{{- range .root.Values.existingSecrets -}}
{{- $secretName := .secretName -}}
{{- with get (.env | default dict) ($env | default "") -}}{{- $found = dict "name" $secretName "key" . -}}{{- end -}}
{{- $folder := printf "%s/" (.mountPath | default "/" | trimSuffix "/") -}}
{{- if and $file .mountPath (hasPrefix $folder $file) -}}
{{- $name := trimPrefix $folder $file -}}
{{- if not .items -}}{{- $found = dict "name" $secretName "key" $name -}}{{- end -}}
{{- range $key, $path := .items -}}{{- if eq $path $name -}}{{- $found = dict "name" $secretName "key" $key -}}{{- end -}}{{- end -}}
{{- end -}}
{{- end -}}
{{- toJson $found -}}
{{- end -}}

{{/* kedaLogin: JSON list of {parameter, name, key} for a TriggerAuthentication; a parameter without a name has no Secret. */}}
{{- define "lazaret.kedaLogin" -}}
{{- $security := (include "lazaret.config" . | fromYaml).kafka.security | default dict -}}
{{- $root := . -}}
{{- $login := list -}}
{{- with $security.password | default (dig "token" "endpoint" "client_secret" "" $security) -}}
{{- $login = append $login (include "lazaret.secretOf" (merge (dict "root" $root) .) | fromJson | merge (dict "parameter" "password")) -}}
{{- end -}}
{{- range $parameter, $file := dict "ca" $security.ca_file "cert" $security.certificate_file "key" $security.key_file -}}
{{- if $file -}}
{{- $login = append $login (include "lazaret.secretOf" (dict "root" $root "file" $file) | fromJson | merge (dict "parameter" $parameter)) -}}
{{- end -}}
{{- end -}}
{{- toJson $login -}}
{{- end -}}

{{/* kedaNames: JSON of what else KEDA needs to log in, by the name that the ConfigMap has for it: {parameter, value}. */}}
{{- define "lazaret.kedaNames" -}}
{{- $security := (include "lazaret.config" . | fromYaml).kafka.security | default dict -}}
{{- $endpoint := dig "token" "endpoint" dict $security -}}
{{- /* It takes lists of both apart by commas, and the configuration has none in an extension; a scope's parts stand by themselves. */ -}}
{{- $extensions := list -}}
{{- range $key, $value := $endpoint.extensions -}}{{- $extensions = append $extensions (printf "%s=%s" $key (toString $value)) -}}{{- end -}}
{{- $names := dict -}}
{{- range $name, $of := dict
  "kafka-username" (dict "parameter" "username" "value" ($security.username | default $endpoint.client_id))
  "kafka-token-url" (dict "parameter" "oauthTokenEndpointUri" "value" $endpoint.url)
  "kafka-token-scope" (dict "parameter" "scopes" "value" ($endpoint.scope | default "" | splitList " " | compact | join ","))
  "kafka-token-extensions" (dict "parameter" "oauthExtensions" "value" (join "," $extensions))
-}}
{{- if $of.value -}}{{- $_ := set $names $name $of -}}{{- end -}}
{{- end -}}
{{- toJson $names -}}
{{- end -}}

{{/* scaledByKeda: yes when something is. */}}
{{- define "lazaret.scaledByKeda" -}}
{{- range concat (list .Values.workers) (values (.Values.workers.stages | default dict)) -}}
{{- if eq (dig "autoscaling" "type" "" .) "keda" -}}yes{{- end -}}
{{- end -}}
{{- end -}}
