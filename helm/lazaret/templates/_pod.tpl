{{/* Pods and containers, alike for Deployments, Jobs and the CronJob. */}}

{{/* secretsOf (list root FOR…): JSON {name: …} of existingSecrets for these components. */}}
{{- define "lazaret.secretsOf" -}}
{{- $found := dict -}}
{{- $for := rest . -}}
{{- range $name, $secret := (first .).Values.existingSecrets -}}
{{- range $for -}}
{{- if or (not $secret.for) (has . $secret.for) -}}{{- $_ := set $found $name $secret -}}{{- end -}}
{{- end -}}
{{- end -}}
{{- toJson $found -}}
{{- end -}}

{{/*
container {root, name, for, args, resources} with, where it serves something, {metrics, api: ports, preStop: seconds} and, where
it is not lazaret.yaml, {config: name of a file}.
*/}}
{{- define "lazaret.container" -}}
{{- $values := .root.Values -}}
{{- $secrets := include "lazaret.secretsOf" (list .root .for) | fromJson -}}
name: {{ .name }}
image: {{ include "lazaret.image" .root | quote }}
imagePullPolicy: {{ $values.image.pullPolicy }}
args: {{ toJson .args }}
env:
  - name: LAZARET_CONFIG
    value: /etc/lazaret/{{ .config | default "lazaret.yaml" }}
  {{- range $secret := $secrets }}
  {{- range $variable, $key := $secret.env }}
  - name: {{ $variable }}
    valueFrom:
      secretKeyRef:
        name: {{ $secret.secretName }}
        key: {{ $key }}
  {{- end }}
  {{- end }}
  {{- with $values.extraEnv }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- with $values.extraEnvFrom }}
envFrom:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- if .metrics }}
ports:
  - name: {{ .metricsName | default "metrics" }}
    containerPort: {{ .metrics }}
  {{- with .api }}
  - name: api
    containerPort: {{ . }}
  {{- end }}
startupProbe:
  httpGet:
    path: /livez
    port: {{ .metricsName | default "metrics" }}
  {{- toYaml $values.probes.startup | nindent 2 }}
livenessProbe:
  httpGet:
    path: /livez
    port: {{ .metricsName | default "metrics" }}
  {{- toYaml $values.probes.liveness | nindent 2 }}
readinessProbe:
  httpGet:
    path: /readyz
    port: {{ .metricsName | default "metrics" }}
  {{- toYaml $values.probes.readiness | nindent 2 }}
{{- if .preStop }}
lifecycle:
  preStop:
    sleep:
      seconds: {{ .preStop }}
{{- end }}
{{- end }}
{{- with .resources }}
resources:
  {{- toYaml . | nindent 2 }}
{{- end }}
securityContext:
  {{- toYaml .pod.containerSecurityContext | nindent 2 }}
volumeMounts:
  - name: config
    mountPath: /etc/lazaret
    readOnly: true
  - name: data
    mountPath: /var/lib/lazaret
  - name: tmp
    mountPath: /tmp
  {{- range $name, $secret := $secrets }}
  {{- with $secret.mountPath }}
  - name: secret-{{ include "lazaret.dns" $name }}
    mountPath: {{ . }}
    readOnly: true
  {{- end }}
  {{- end }}
  {{- with $values.extraVolumeMounts }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end -}}

{{/* podSettings (list root SETTINGS…): JSON of `pod`, with single values replaced by those of each of the settings. */}}
{{- define "lazaret.podSettings" -}}
{{- $pod := deepCopy (first .).Values.pod -}}
{{- range rest . -}}
{{- range $key, $value := .pod -}}{{- $_ := set $pod $key $value -}}{{- end -}}
{{- end -}}
{{- toJson $pod -}}
{{- end -}}

{{/*
pod {root, pod: settings, selector: YAML, for: components, containers: list of YAML} and as far as needed {grace, restart,
serviceAccount, claim, config: name of the ConfigMap, initContainers, extraContainers}.
*/}}
{{- define "lazaret.pod" -}}
{{- $root := .root -}}
{{- $values := $root.Values -}}
{{- $selector := .selector -}}
metadata:
  labels:
    {{- .selector | nindent 4 }}
    {{- with mergeOverwrite (deepCopy $values.commonLabels) .pod.labels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  annotations:
    # A Pod reads its configuration when it starts: another one means other Pods.
    checksum/config: {{ include "lazaret.data" $root | sha256sum }}
    {{- with .pod.annotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  serviceAccountName: {{ .serviceAccount | default (include "lazaret.serviceAccount" $root) }}
  automountServiceAccountToken: false
  enableServiceLinks: false
  {{- with .restart }}
  restartPolicy: {{ . }}
  {{- end }}
  {{- with .grace }}
  terminationGracePeriodSeconds: {{ . }}
  {{- end }}
  {{- with $values.imagePullSecrets }}
  imagePullSecrets:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .pod.priorityClassName }}
  priorityClassName: {{ . }}
  {{- end }}
  securityContext:
    {{- toYaml .pod.securityContext | nindent 4 }}
  {{- with .initContainers }}
  initContainers:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  containers:
    {{- range .containers }}
    - {{ . | indent 6 | trim }}
    {{- end }}
    {{- with .extraContainers }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  volumes:
    - name: config
      configMap:
        name: {{ .config | default (include "lazaret.fullname" $root) }}
    - name: data
      {{- if .claim }}
      persistentVolumeClaim:
        claimName: {{ .claim }}
      {{- else }}
      emptyDir: {}
      {{- end }}
    - name: tmp
      emptyDir: {}
    {{- range $name, $secret := include "lazaret.secretsOf" (prepend .for $root) | fromJson }}
    {{- if $secret.mountPath }}
    - name: secret-{{ include "lazaret.dns" $name }}
      secret:
        secretName: {{ $secret.secretName }}
        # Readable for the group of `fsGroup`, and for nobody else.
        defaultMode: 0440
        {{- with $secret.items }}
        items:
          {{- range $key, $path := . }}
          - key: {{ $key }}
            path: {{ $path }}
          {{- end }}
        {{- end }}
    {{- end }}
    {{- end }}
    {{- with $values.extraVolumes }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- with .pod.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .pod.tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .pod.affinity }}
  affinity:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- if not .restart }}
  {{- with .pod.topologySpreadConstraints }}
  topologySpreadConstraints:
    {{- range . }}
    - {{ toYaml (merge (deepCopy .) (dict "labelSelector" (dict "matchLabels" (fromYaml $selector)))) | indent 6 | trim }}
    {{- end }}
  {{- end }}
  {{- end }}
{{- end -}}

{{/* workloads: JSON list of {name, args, settings, stages, selector} for each Deployment of workers. */}}
{{- define "lazaret.workloads" -}}
{{- $root := . -}}
{{- $workers := .Values.workers -}}
{{- $stages := (include "lazaret.topology" . | fromJson).stages -}}
{{- $loads := list -}}
{{- if eq $workers.mode "perStage" -}}
{{- range $stages -}}
{{- $own := get ($workers.stages | default dict) .key | default dict -}}
{{- $settings := deepCopy (omit $workers "stages" "pod") -}}
{{- include "lazaret.overlay" (dict "base" $settings "over" (omit $own "pod" "resources")) -}}
{{- if $own.resources -}}{{- $_ := set $settings "resources" $own.resources -}}{{- end -}}
{{- $_ := set $settings "pod" (include "lazaret.podSettings" (list $root $workers $own) | fromJson) -}}
{{- $loads = append $loads (dict "name" (include "lazaret.object" (list $root .pipeline .stage)) "args" (list "run" "--pipeline" .pipeline "--stage" .stage) "settings" $settings "stages" (list .) "selector" (include "lazaret.selector" (list $root "worker" .pipeline .stage))) -}}
{{- end -}}
{{- else -}}
{{- $settings := deepCopy (omit $workers "stages") -}}
{{- $_ := set $settings "pod" (include "lazaret.podSettings" (list $root $workers) | fromJson) -}}
{{- $loads = list (dict "name" (include "lazaret.object" (list $root "worker")) "args" (list "run") "settings" $settings "stages" $stages "selector" (include "lazaret.selector" (list $root "worker"))) -}}
{{- end -}}
{{- toJson $loads -}}
{{- end -}}

{{/* maxReplicas {root, load}: what is set, or the most partitions of an input. */}}
{{- define "lazaret.maxReplicas" -}}
{{- $topics := (include "lazaret.topology" .root | fromJson).topics -}}
{{- $most := 1 -}}
{{- range .load.stages -}}{{- $most = max $most (get $topics .input).partitions -}}{{- end -}}
{{- int (.load.settings.autoscaling.maxReplicas | default $most) -}}
{{- end -}}

{{- define "lazaret.opsContainer" -}}
{{- $root := .root -}}
{{- $args := dict "root" $root "name" "ops" "for" "ops" "args" (list "ops") "resources" $root.Values.ops.resources "pod" .pod "preStop" (int $root.Values.ops.preStopSeconds) "api" (include "lazaret.apiPort" $root) -}}
{{- if .beside -}}
{{- $args = merge $args (dict "metrics" (include "lazaret.portOfOps" $root) "metricsName" "ops-metrics" "config" "ops.yaml") -}}
{{- else -}}
{{- $args = merge $args (dict "metrics" (include "lazaret.metricsPort" $root)) -}}
{{- end -}}
{{- include "lazaret.container" $args -}}
{{- end -}}
