{{/* The configuration: what Lazaret is given, what of it concerns Kubernetes, and what is wrong with it. */}}

{{/*
config: the whole of it as YAML. Made once and remembered, as `topology` is: everything asks for it, and a template has no other
place to remember something in.
*/}}
{{- define "lazaret.config" -}}
{{- if not (hasKey .Values "rememberedConfig") -}}
{{- $_ := set .Values "rememberedConfig" (include "lazaret.makeConfig" .) -}}
{{- end -}}
{{- .Values.rememberedConfig -}}
{{- end -}}

{{- define "lazaret.makeConfig" -}}
{{- $config := .Values.configFile | default "" | fromYaml -}}
{{- if hasKey $config "Error" -}}
{{- fail (printf "\n\nconfigFile is not a configuration: %s\n  remedy: `lazaret check` shows the line; pass the file with --set-file configFile=lazaret.yaml\n" $config.Error) -}}
{{- end -}}
{{- include "lazaret.overlay" (dict "base" $config "over" .Values.config) -}}
{{- include "lazaret.shape" $config -}}
{{- if and .Values.ops.enabled ($config.ops).inside_run -}}
{{- /* `lazaret ops` has a container of its own here: what would be done twice would also want the same port. */ -}}
{{- $_ := set $config.ops "inside_run" false -}}
{{- end -}}
{{- if not (hasKey ($config.shutdown | default dict) "drain") -}}
{{- /* A roll-out lets calls come to their end: one that is cut off has been paid, and its answer is lost. */ -}}
{{- $longest := int64 1000 -}}
{{- range $config.pipelines -}}
{{- range .stages -}}{{- $longest = max $longest (include "lazaret.milliseconds" (.timeout | default "2m")) -}}{{- end -}}
{{- end -}}
{{- $_ := set $config "shutdown" (dict "drain" (include "lazaret.span" $longest)) -}}
{{- end -}}
{{- toYaml $config -}}
{{- end -}}

{{/* shape CONFIG: fails when it has not what this chart cannot do without. Prints nothing. */}}
{{- define "lazaret.shape" -}}
{{- $remedy := "\n  remedy: `lazaret check` says all that is wrong with a configuration\n" -}}
{{- range $name, $pipeline := .pipelines -}}
{{- range $word := list "input" "output" -}}
{{- $topic := get $pipeline $word -}}
{{- if not (and (kindIs "map" $topic) (get (kindIs "map" $topic | ternary $topic dict) "topic")) -}}
{{- fail (printf "\n\npipelines.%s.%s has no topic%s" $name $word $remedy) -}}
{{- end -}}
{{- end -}}
{{- if not $pipeline.stages -}}{{- fail (printf "\n\npipelines.%s has no stages%s" $name $remedy) -}}{{- end -}}
{{- range $at, $stage := $pipeline.stages -}}
{{- if not (and (kindIs "map" $stage) $stage.name $stage.kind) -}}
{{- fail (printf "\n\npipelines.%s.stages[%d] has no name, or no kind%s" $name $at $remedy) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* overlay {base, over}: what `over` says is so in `base`, key for key; a null takes a key away. Prints nothing. */}}
{{- define "lazaret.overlay" -}}
{{- $base := .base -}}
{{- range $key, $value := .over -}}
{{- if kindIs "invalid" $value -}}
{{- $_ := unset $base $key -}}
{{- else if kindIs "map" $value -}}
{{- if not (kindIs "map" (get $base $key)) -}}{{- $_ := set $base $key dict -}}{{- end -}}
{{- include "lazaret.overlay" (dict "base" (get $base $key) "over" $value) -}}
{{- else -}}
{{- $_ := set $base $key $value -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* configOfOps: with SQLite both run in one Pod, where each needs a port of its own for metrics. */}}
{{- define "lazaret.configOfOps" -}}
{{- $config := include "lazaret.config" . | fromYaml -}}
{{- $_ := set $config.http "listen" (regexReplaceAll "[0-9]+$" $config.http.listen (include "lazaret.portOfOps" .)) -}}
{{- toYaml $config -}}
{{- end -}}

{{/* data: all files of the ConfigMap. */}}
{{- define "lazaret.data" -}}
{{- $data := deepCopy (.Values.files | default dict) -}}
{{- $_ := set $data "lazaret.yaml" (include "lazaret.config" .) -}}
{{- if and .Values.ops.enabled (include "lazaret.files" .) -}}
{{- $_ := set $data "ops.yaml" (include "lazaret.configOfOps" .) -}}
{{- end -}}
{{- if include "lazaret.scaledByKeda" . -}}
{{- /* KEDA takes it from here. */ -}}
{{- range $name, $of := include "lazaret.kedaNames" . | fromJson -}}{{- $_ := set $data $name $of.value -}}{{- end -}}
{{- end -}}
{{- toYaml $data -}}
{{- end -}}

{{/* files: names of the stores that are SQLite files, of those that are used; nothing when all are in PostgreSQL. */}}
{{- define "lazaret.files" -}}
{{- $config := include "lazaret.config" . | fromYaml -}}
{{- $stores := list "ledger" -}}
{{- range (include "lazaret.topology" . | fromJson).stages -}}
{{- if has .kind (list "index" "retrieve") -}}{{- $stores = append $stores "index" -}}{{- end -}}
{{- end -}}
{{- if or .Values.ops.enabled .Values.sweep.enabled -}}{{- $stores = append $stores "quarantine" -}}{{- end -}}
{{- $files := list -}}
{{- range uniq $stores -}}
{{- if not (dig "postgres" "" (get $config . | default dict)) -}}{{- $files = append $files . -}}{{- end -}}
{{- end -}}
{{- join ", " $files -}}
{{- end -}}

{{/* port ADDRESS: 9464 of 0.0.0.0:9464 */}}
{{- define "lazaret.port" -}}
{{- $port := regexFind "[0-9]+$" (toString .) -}}
{{- if not $port -}}
{{- fail (printf "the configuration: this chart cannot tell the port of '%s'; write it like 0.0.0.0:9464" .) -}}
{{- end -}}
{{- $port -}}
{{- end -}}

{{- define "lazaret.metricsPort" -}}
{{- include "lazaret.port" (include "lazaret.config" . | fromYaml).http.listen -}}
{{- end -}}

{{- define "lazaret.portOfOps" -}}
{{- add 1000 (include "lazaret.metricsPort" .) -}}
{{- end -}}

{{/* apiPort: nothing when the API is not served. */}}
{{- define "lazaret.apiPort" -}}
{{- with dig "ops" "listen" "" (include "lazaret.config" . | fromYaml) -}}{{- include "lazaret.port" . -}}{{- end -}}
{{- end -}}

{{/* drain: seconds. */}}
{{- define "lazaret.drain" -}}
{{- $config := include "lazaret.config" . | fromYaml -}}
{{- div (add 999 (include "lazaret.milliseconds" $config.shutdown.drain)) 1000 -}}
{{- end -}}

{{/* secretsNamed VALUE at PATH: JSON list of {path, env|file}, for all that the configuration expects to find. */}}
{{- define "lazaret.secretsNamed" -}}
{{- $found := list -}}
{{- $path := .path -}}
{{- if kindIs "map" .value -}}
{{- $value := .value -}}
{{- range $word := list "env" "file" -}}
{{- if and (eq (len $value) 1) (kindIs "string" (get $value $word)) (get $value $word) -}}
{{- $found = append $found (dict "path" $path $word (get $value $word)) -}}
{{- end -}}
{{- end -}}
{{- range $key, $inner := $value -}}
{{- if and (has $key (list "ca_file" "certificate_file" "key_file" "prompt_file")) (kindIs "string" $inner) -}}
{{- $found = append $found (dict "path" (printf "%s.%s" $path $key) "file" $inner) -}}
{{- else -}}
{{- $found = concat $found (include "lazaret.secretsNamed" (dict "value" $inner "path" (printf "%s.%s" $path $key)) | fromJsonArray) -}}
{{- end -}}
{{- end -}}
{{- else if kindIs "slice" .value -}}
{{- range $at, $inner := .value -}}
{{- $found = concat $found (include "lazaret.secretsNamed" (dict "value" $inner "path" (printf "%s[%d]" $path $at)) | fromJsonArray) -}}
{{- end -}}
{{- end -}}
{{- toJson $found -}}
{{- end -}}
