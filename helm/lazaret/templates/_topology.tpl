{{/*
Stages, topics and consumer groups, as src/flow/topology.rs derives them. It stands here a second time because KEDA, HPA and
Strimzi have to be told in values of Kubernetes; scripts/chart.sh holds it against `lazaret topics list`.
*/}}

{{/* topology: JSON {stages: […], topics: {name: …}}. */}}
{{- define "lazaret.topology" -}}
{{- if not (hasKey .Values "rememberedTopology") -}}
{{- $_ := set .Values "rememberedTopology" (include "lazaret.makeTopology" .) -}}
{{- end -}}
{{- .Values.rememberedTopology -}}
{{- end -}}

{{- define "lazaret.makeTopology" -}}
{{- $config := include "lazaret.config" . | fromYaml -}}
{{- $prefix := ($config.kafka).group_prefix | default "lazaret." -}}
{{- $stages := list -}}
{{- $topics := dict -}}
{{- range $name, $pipeline := $config.pipelines -}}
{{- $common := dict "topics" $topics "replication" $pipeline.replication -}}
{{- $record := include "lazaret.bytes" ($pipeline.record_max | default "8MiB") | int64 -}}
{{- $flow := dict "retention" (include "lazaret.milliseconds" ($pipeline.retention | default "7d")) "max" $record -}}
{{- $default := $pipeline.partitions | default 6 -}}
{{- include "lazaret.merge" (merge (dict "name" $pipeline.input.topic "shared" true "partitions" ($pipeline.input.partitions | default $default)) $flow $common) -}}
{{- include "lazaret.merge" (merge (dict "name" $pipeline.output.topic "shared" true "partitions" ($pipeline.output.partitions | default $default)) $flow $common) -}}
{{- range $at, $stage := $pipeline.stages -}}
{{- $base := printf "%s.%s" $name $stage.name -}}
{{- $input := ternary $pipeline.input.topic $base (eq $at 0) -}}
{{- $partitions := $stage.partitions | default $default -}}
{{- if gt $at 0 -}}
{{- include "lazaret.merge" (merge (dict "name" $base "partitions" $partitions) $flow $common) -}}
{{- end -}}
{{- $retry := $stage.retry | default $pipeline.retry | default dict -}}
{{- $waiting := dict "retention" (include "lazaret.waiting" $retry) "max" (add $record 131072) "timestamps" "LogAppendTime" "follows" $input "partitions" $partitions -}}
{{- $own := list (printf "%s.redrive" $base) -}}
{{- if hasKey $retry "rungs" -}}
{{- range $retry.rungs -}}{{- $own = append $own (printf "%s.retry.%s" $base (include "lazaret.span" (include "lazaret.milliseconds" .))) -}}{{- end -}}
{{- else -}}
{{- range list "1s" "5s" "30s" "2m" "10m" -}}{{- $own = append $own (printf "%s.retry.%s" $base .) -}}{{- end -}}
{{- end -}}
{{- if or (ne ($stage.ordering | default "none") "none") $stage.fairness -}}{{- $own = append $own (printf "%s.park" $base) -}}{{- end -}}
{{- range $own -}}{{- include "lazaret.merge" (merge (dict "name" .) $waiting $common) -}}{{- end -}}
{{- $dlq := "-1" -}}
{{- with $stage.dlq_retention | default $pipeline.dlq_retention -}}{{- $dlq = include "lazaret.milliseconds" . -}}{{- end -}}
{{- include "lazaret.merge" (merge (dict "name" (printf "%s.dlq" $base) "retention" $dlq "timestamps" "CreateTime") $waiting $common) -}}
{{- $kind := kindIs "map" $stage.kind | ternary (keys (kindIs "map" $stage.kind | ternary $stage.kind dict) | join "") (toString $stage.kind) -}}
{{- $timeout := include "lazaret.milliseconds" ($stage.timeout | default "2m") -}}
{{- $stages = append $stages (dict "pipeline" $name "stage" $stage.name "key" $base "group" (printf "%s%s" $prefix $base) "input" $input "kind" $kind "timeout" $timeout) -}}
{{- end -}}
{{- end -}}
{{- range $topics -}}
{{- if .follows -}}{{- $_ := set . "partitions" (get $topics .follows).partitions -}}{{- end -}}
{{- end -}}
{{- $operations := dig "quarantine" "operations" "lazaret.operations" $config -}}
{{- $replication := 0 -}}
{{- range $config.pipelines -}}{{- $replication = max $replication (.replication | default 0) -}}{{- end -}}
{{- with $operations -}}
{{- include "lazaret.merge" (dict "topics" $topics "name" . "partitions" 1 "replication" $replication "retention" "-1" "max" 524288) -}}
{{- end -}}
{{- dict "stages" $stages "topics" $topics "operations" $operations | toJson -}}
{{- end -}}

{{/* merge {topics, name, …}: puts a topic among the others; of two demands on one the larger of each wins. Prints nothing. */}}
{{- define "lazaret.merge" -}}
{{- $topic := dict "partitions" (int .partitions) "replication" (int (.replication | default 0)) "retention" (int64 .retention) "max" (int64 .max) "shared" (eq .shared true) "timestamps" .timestamps "follows" .follows -}}
{{- with get .topics .name -}}
{{- $_ := set $topic "partitions" (max $topic.partitions .partitions) -}}
{{- $_ := set $topic "replication" (max $topic.replication .replication) -}}
{{- $_ := set $topic "retention" (ternary -1 (max $topic.retention .retention) (or (eq $topic.retention -1) (eq .retention -1))) -}}
{{- $_ := set $topic "max" (max $topic.max .max) -}}
{{- $_ := set $topic "shared" (or $topic.shared .shared) -}}
{{- end -}}
{{- $_ := set .topics .name $topic -}}
{{- end -}}

{{/* waiting RETRY: how long rungs, redrive and parking topics keep records: twice the longest wait, and at least a week. */}}
{{- define "lazaret.waiting" -}}
{{- $spans := concat (.rungs | default list) (list (.cap | default "10m") (.max_elapsed | default "6h")) -}}
{{- range .overrides -}}
{{- $spans = concat $spans (compact (list .cap .max_elapsed)) -}}
{{- end -}}
{{- $longest := int64 302400000 -}}
{{- range $spans -}}{{- $longest = max $longest (include "lazaret.milliseconds" .) -}}{{- end -}}
{{- mul 2 $longest -}}
{{- end -}}
