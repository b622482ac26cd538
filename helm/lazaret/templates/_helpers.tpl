{{/* Names, labels and units. */}}

{{- define "lazaret.name" -}}
{{- .Values.nameOverride | default .Chart.Name | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{- define "lazaret.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else if contains (include "lazaret.name" .) .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "lazaret.name" .) | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/*
dns TEXT: the text as a label, or as part of a name of an object. Where that changes it, a part of its hash keeps names apart.
*/}}
{{- define "lazaret.dns" -}}
{{- $plain := regexReplaceAll "[^a-z0-9-]+" (lower .) "-" | trunc 56 | trimAll "-" -}}
{{- if ne $plain . -}}
{{- $plain = printf "%s-%s" $plain (sha256sum . | trunc 6) -}}
{{- end -}}
{{- $plain -}}
{{- end -}}

{{/* object (list root SUFFIX…): name of an object, at most 52 characters, since a CronJob and a Deployment append to it. */}}
{{- define "lazaret.object" -}}
{{- $name := include "lazaret.fullname" (first .) -}}
{{- range rest . -}}
{{- $name = printf "%s-%s" $name (include "lazaret.dns" .) -}}
{{- end -}}
{{- if gt (len $name) 52 -}}
{{- $name = printf "%s-%s" (trunc 45 $name | trimSuffix "-") (sha256sum $name | trunc 6) -}}
{{- end -}}
{{- $name -}}
{{- end -}}

{{/* labels (list root COMPONENT): of objects. */}}
{{- define "lazaret.labels" -}}
{{- $root := first . -}}
helm.sh/chart: {{ printf "%s-%s" $root.Chart.Name $root.Chart.Version | replace "+" "_" }}
app.kubernetes.io/version: {{ $root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
app.kubernetes.io/part-of: lazaret
{{ include "lazaret.selector" . }}
{{- with $root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* selector (list root COMPONENT [PIPELINE STAGE]): what never changes, since a Deployment's selector cannot. */}}
{{- define "lazaret.selector" -}}
{{- $root := first . -}}
app.kubernetes.io/name: {{ include "lazaret.name" $root }}
app.kubernetes.io/instance: {{ $root.Release.Name }}
{{- with index . 1 }}
app.kubernetes.io/component: {{ . }}
{{- end }}
{{- if gt (len .) 2 }}
lazaret.io/pipeline: {{ include "lazaret.dns" (index . 2) | quote }}
lazaret.io/stage: {{ include "lazaret.dns" (index . 3) | quote }}
{{- end }}
{{- end -}}

{{- define "lazaret.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{- .Values.serviceAccount.name | default (include "lazaret.fullname" .) -}}
{{- else -}}
{{- .Values.serviceAccount.name | default "default" -}}
{{- end -}}
{{- end -}}

{{- define "lazaret.image" -}}
{{- $image := .Values.image -}}
{{- if $image.digest -}}
{{- printf "%s@%s" $image.repository $image.digest -}}
{{- else -}}
{{- printf "%s:%s" $image.repository ($image.tag | default .Chart.AppVersion) -}}
{{- end -}}
{{- end -}}

{{/* milliseconds of a duration of the configuration, such as 1h30m. */}}
{{- define "lazaret.milliseconds" -}}
{{- $text := toString . -}}
{{- if not (regexMatch "^([0-9]+(ms|s|m|h|d))+$" $text) -}}
{{- fail (printf "the configuration: '%s' is not a duration that this chart can read; write it like 30s or 1h30m" $text) -}}
{{- end -}}
{{- $unit := dict "ms" 1 "s" 1000 "m" 60000 "h" 3600000 "d" 86400000 -}}
{{- $sum := int64 0 -}}
{{- range regexFindAll "[0-9]+(ms|s|m|h|d)" $text -1 -}}
{{- $sum = add $sum (mul (regexFind "^[0-9]+" .) (get $unit (regexFind "[a-z]+$" .))) -}}
{{- end -}}
{{- $sum -}}
{{- end -}}

{{/* span MILLISECONDS: a duration as Lazaret writes it in names of topics, by the largest unit that fits. */}}
{{- define "lazaret.span" -}}
{{- $ms := int64 . -}}
{{- $written := printf "%dms" $ms -}}
{{- range list (list "s" 1000) (list "m" 60000) (list "h" 3600000) (list "d" 86400000) -}}
{{- if and (ge $ms (int64 (index . 1))) (eq (mod $ms (index . 1)) 0) -}}
{{- $written = printf "%d%s" (div $ms (index . 1)) (index . 0) -}}
{{- end -}}
{{- end -}}
{{- $written -}}
{{- end -}}

{{/* bytes of a size of the configuration, such as 8MiB. */}}
{{- define "lazaret.bytes" -}}
{{- $text := toString . -}}
{{- if not (regexMatch "^[0-9]+ ?(B|KiB|MiB|GiB|kB|KB|MB|GB)$" $text) -}}
{{- fail (printf "the configuration: '%s' is not a size that this chart can read; write it like 8MiB" $text) -}}
{{- end -}}
{{- $unit := dict "B" 1 "KiB" 1024 "MiB" 1048576 "GiB" 1073741824 "kB" 1000 "KB" 1000 "MB" 1000000 "GB" 1000000000 -}}
{{- mul (regexFind "^[0-9]+" $text) (get $unit (regexFind "[A-Za-z]+$" $text)) -}}
{{- end -}}
