{{/*
What cannot work, said before anything is changed: each with its cause and a remedy. What is wrong within the configuration
itself `lazaret check` says.
*/}}
{{- define "lazaret.check" -}}
{{- $config := include "lazaret.config" . | fromYaml -}}
{{- if not $config.pipelines -}}
{{- fail "\n\nthere are no pipelines\n  remedy: pass the pipeline file with --set-file configFile=lazaret.yaml, or write it below `config` in the values\n" -}}
{{- end -}}
{{- if not ($config.kafka).bootstrap -}}
{{- fail "\n\nthe configuration does not say where Kafka is\n  remedy: set config.kafka.bootstrap to host:port\n" -}}
{{- end -}}
{{- $_ := set .Values "rememberedWrong" "" -}}
{{- include "lazaret.checkState" . -}}
{{- include "lazaret.checkReach" . -}}
{{- include "lazaret.checkSecrets" . -}}
{{- include "lazaret.checkStages" . -}}
{{- include "lazaret.checkTwice" . -}}
{{- if .Values.rememberedWrong -}}
{{- fail (printf "\n%s" .Values.rememberedWrong) -}}
{{- end -}}
{{- end -}}

{{/* wrong (list root WHAT REMEDY): one problem more. All are told at once. */}}
{{- define "lazaret.wrong" -}}
{{- $values := (index . 0).Values -}}
{{- $_ := set $values "rememberedWrong" (printf "%s\n%s\n  remedy: %s\n" $values.rememberedWrong (index . 1) (index . 2)) -}}
{{- end -}}

{{/* checkState: where state is, and who shares it. */}}
{{- define "lazaret.checkState" -}}
{{- $values := .Values -}}
{{- $config := include "lazaret.config" . | fromYaml -}}
{{- $files := include "lazaret.files" . -}}
{{- if $files -}}
{{- $remedy := printf "name a database for each of them (%s): config.ledger.postgres.url.env and so on" $files -}}
{{- $cause := printf "%s would be SQLite files, which Pods cannot share" $files -}}
{{- if eq $values.workers.mode "perStage" -}}
{{- include "lazaret.wrong" (list $ (printf "workers.mode is perStage, and %s" $cause) (printf "%s; or set workers.mode to allInOne" $remedy)) -}}
{{- end -}}
{{- if ne (int $values.workers.replicas) 1 -}}
{{- include "lazaret.wrong" (list $ (printf "workers.replicas is %d, and %s" (int $values.workers.replicas) $cause) (printf "%s; or set workers.replicas to 1" $remedy)) -}}
{{- end -}}
{{- if ne $values.workers.autoscaling.type "none" -}}
{{- include "lazaret.wrong" (list $ (printf "workers.autoscaling.type is %s, and %s" $values.workers.autoscaling.type $cause) (printf "%s; or set workers.autoscaling.type to none" $remedy)) -}}
{{- end -}}
{{- if $values.sweep.enabled -}}
{{- include "lazaret.wrong" (list $ (printf "sweep.enabled runs a Pod of its own, and %s" $cause) (printf "%s; or set sweep.enabled to false and let `lazaret ops` sweep, by config.quarantine.sweep.schedule" $remedy)) -}}
{{- end -}}
{{- range $store := splitList ", " $files -}}
{{- $path := dig "path" "" (get $config $store | default dict) -}}
{{- if and (hasPrefix "/" $path) (not (hasPrefix "/var/lib/lazaret/" $path)) (not (include "lazaret.isMounted" (list $ $path))) -}}
{{- include "lazaret.wrong" (list $ (printf "%s.path is %s, where a Pod cannot write" $store $path) "let it be below /var/lib/lazaret, where the volume is, or leave it out") -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- $archive := dig "quarantine" "archive" "to" "" $config -}}
{{- $isOnVolume := and $files $values.persistence.enabled (or (not (hasPrefix "/" $archive)) (hasPrefix "/var/lib/lazaret/" $archive)) -}}
{{- if and $archive $values.ops.enabled (not (hasPrefix "s3://" $archive)) (not $isOnVolume) (not (include "lazaret.isMounted" (list . $archive))) -}}
{{- include "lazaret.wrong" (list $ (printf "quarantine.archive.to is the folder %s, which goes with the Pod, or cannot be written to" $archive) "archive in s3://bucket/prefix, or mount a volume there with extraVolumes and extraVolumeMounts") -}}
{{- end -}}
{{- $several := or (eq $values.workers.mode "perStage") (gt (int $values.workers.replicas) 1) (ne $values.workers.autoscaling.type "none") -}}
{{- if and $config.instance $several -}}
{{- include "lazaret.wrong" (list $ (printf "all Pods would have the name '%s' in the ledger" $config.instance) "remove `instance` from the configuration: the name of the Pod is taken") -}}
{{- end -}}
{{- end -}}

{{/* checkReach: what has to be reached, from outside and from inside. */}}
{{- define "lazaret.checkReach" -}}
{{- $values := .Values -}}
{{- $config := include "lazaret.config" . | fromYaml -}}
{{- range $name := list "http" "ops" -}}
{{- $listen := dig $name "listen" (ternary "127.0.0.1:9464" "" (eq $name "http")) $config -}}
{{- if and $listen (regexMatch "^(127\\.|localhost|\\[::1\\])" $listen) (or (eq $name "http") $values.ops.enabled) -}}
{{- include "lazaret.wrong" (list $ (printf "%s.listen is %s, which nobody outside of the Pod can reach" $name $listen) (printf "set config.%s.listen to 0.0.0.0:%s" $name (include "lazaret.port" $listen))) -}}
{{- end -}}
{{- end -}}
{{- range $name := list "ingress" "httpRoute" -}}
{{- if (get $values.ops $name).enabled -}}
{{- if or (not $values.ops.enabled) (not (include "lazaret.apiPort" $)) -}}
{{- include "lazaret.wrong" (list $ (printf "ops.%s has nothing to lead to: the HTTP API is not served" $name) "set ops.enabled, and in the configuration ops.listen (0.0.0.0:9465), and ops.tokens or ops.oidc") -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if and $values.ops.httpRoute.enabled (not $values.ops.httpRoute.parentRefs) -}}
{{- include "lazaret.wrong" (list $ "ops.httpRoute belongs to no gateway" "name one in ops.httpRoute.parentRefs, as [{name: …, namespace: …}]") -}}
{{- end -}}
{{- if and $values.ops.ingress.enabled (not $values.ops.ingress.hosts) -}}
{{- include "lazaret.wrong" (list $ "ops.ingress has no host" "name one in ops.ingress.hosts") -}}
{{- end -}}

{{- if and $values.networkPolicy.enabled (not $values.networkPolicy.egress.ports) -}}
{{- range include "lazaret.addresses" . | fromJsonArray -}}
{{- if contains "${" . -}}
{{- include "lazaret.wrong" (list $ (printf "networkPolicy cannot tell the port of %s" .) "name all ports in networkPolicy.egress.ports, or give the variable a default") -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* checkSecrets: what the configuration expects to find, and what is given. */}}
{{- define "lazaret.checkSecrets" -}}
{{- $values := .Values -}}
{{- $config := include "lazaret.config" . | fromYaml -}}
{{- range include "lazaret.secretsNamed" (dict "value" $config "path" "") | fromJsonArray -}}
{{- $at := trimPrefix "." .path -}}
{{- if and .env (not $values.extraEnvFrom) (not (include "lazaret.isInEnv" (list $ .env))) -}}
{{- include "lazaret.wrong" (list $ (printf "%s is to be found in the environment variable %s, which no container has" $at .env) (printf "name a Secret that has it: existingSecrets.<name>.secretName, and existingSecrets.<name>.env.%s with its key" .env)) -}}
{{- end -}}
{{- if and .file (not (include "lazaret.isMounted" (list $ .file))) -}}
{{- include "lazaret.wrong" (list $ (printf "%s is to be found in the file %s, which no container has" $at .file) (printf "name a Secret that has it: existingSecrets.<name>.secretName, and existingSecrets.<name>.mountPath with %s; or put it into `files` and name it /etc/lazaret/…" (dir .file))) -}}
{{- end -}}
{{- end -}}
{{- range $name, $secret := $values.existingSecrets -}}
{{- if and (not $secret.env) (not $secret.mountPath) -}}
{{- include "lazaret.wrong" (list $ (printf "existingSecrets.%s is used by nobody" $name) "say what it is: `env`, or `mountPath`") -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* checkStages: what is said of stages, and how KEDA gets to know of them. */}}
{{- define "lazaret.checkStages" -}}
{{- $values := .Values -}}
{{- $config := include "lazaret.config" . | fromYaml -}}
{{- $known := list -}}
{{- range (include "lazaret.topology" . | fromJson).stages -}}{{- $known = append $known .key -}}{{- end -}}
{{- range $name, $stage := $values.workers.stages -}}
{{- if not (has $name $known) -}}
{{- include "lazaret.wrong" (list $ (printf "workers.stages names '%s', and there is no such stage" $name) (printf "name it <pipeline>.<stage>; known are %s" (join ", " $known))) -}}
{{- end -}}
{{- end -}}
{{- if and $values.workers.stages (ne $values.workers.mode "perStage") -}}
{{- include "lazaret.wrong" (list $ "workers.stages has no effect: one Deployment runs all stages" "set workers.mode to perStage, or remove workers.stages") -}}
{{- end -}}
{{- if include "lazaret.scaledByKeda" . -}}
{{- $keda := $values.workers.autoscaling.keda -}}
{{- if and (contains "${" $config.kafka.bootstrap) (not $keda.bootstrapServers) -}}
{{- include "lazaret.wrong" (list $ (printf "KEDA cannot read kafka.bootstrap, which is %s" $config.kafka.bootstrap) "set workers.autoscaling.keda.bootstrapServers") -}}
{{- end -}}
{{- if not $keda.authenticationRef -}}
{{- if dig "token" "file" "" ($config.kafka.security | default dict) -}}
{{- include "lazaret.wrong" (list $ "KEDA asks Kafka itself, and cannot log in with a token in a file" "let it get one from a token endpoint, or log in in another way: name a TriggerAuthentication in workers.autoscaling.keda.authenticationRef; extraObjects can hold it") -}}
{{- end -}}
{{- range include "lazaret.kedaLogin" . | fromJsonArray -}}
{{- if not .name -}}
{{- include "lazaret.wrong" (list $ (printf "KEDA asks Kafka itself, and its %s is in none of existingSecrets" .parameter) "put it there, or name a TriggerAuthentication in workers.autoscaling.keda.authenticationRef; extraObjects can hold it") -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* checkTwice: what would be done twice, or by nobody. */}}
{{- define "lazaret.checkTwice" -}}
{{- $values := .Values -}}
{{- $config := include "lazaret.config" . | fromYaml -}}
{{- if and $values.metrics.podMonitor.enabled $values.metrics.serviceMonitor.enabled -}}
{{- include "lazaret.wrong" (list $ "metrics.podMonitor and metrics.serviceMonitor would read every metric twice" "enable one of them") -}}
{{- end -}}
{{- if and $values.strimzi.topics.enabled $values.topicsJob.enabled (eq $values.topicsJob.command "apply") -}}
{{- include "lazaret.wrong" (list $ "strimzi.topics and topicsJob would both look after the topics" "set topicsJob.enabled to false, or topicsJob.command to plan") -}}
{{- end -}}
{{- if $values.sweep.enabled -}}
{{- if not (dig "quarantine" "sweep" "rules" list $config) -}}
{{- include "lazaret.wrong" (list $ "sweep.enabled, and there are no rules to sweep by" "write some below quarantine.sweep.rules in the configuration; docs/cli.md has an example") -}}
{{- end -}}
{{- if and $values.ops.enabled (dig "quarantine" "sweep" "schedule" "" $config) -}}
{{- include "lazaret.wrong" (list $ "both the CronJob and `lazaret ops` would sweep" "remove quarantine.sweep.schedule from the configuration, or set sweep.enabled to false") -}}
{{- end -}}
{{- end -}}
{{- if and (or $values.strimzi.topics.enabled $values.strimzi.user.enabled) (not $values.strimzi.cluster) -}}
{{- include "lazaret.wrong" (list $ "topics and user of Strimzi belong to no Kafka" "set strimzi.cluster to the name of the Kafka object") -}}
{{- end -}}
{{- if $values.strimzi.user.enabled -}}
{{- $user := $values.strimzi.user.name | default (include "lazaret.fullname" .) -}}
{{- range $verb := list "topics" "schemas" -}}
{{- if (get $values (printf "%sJob" $verb)).enabled -}}
{{- range include "lazaret.secretsOf" (list $ $verb) | fromJson -}}
{{- if eq .secretName $user -}}
{{- include "lazaret.wrong" (list $ (printf "%sJob would wait for the Secret %s, which Strimzi makes after it" $verb $user) (printf "set %sJob.enabled to false (strimzi.topics makes topics), or let the KafkaUser be there before: strimzi.user.enabled false" $verb)) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if and $values.schemasJob.enabled (not $config.registry) -}}
{{- include "lazaret.wrong" (list $ "schemasJob has no registry" "name it in the configuration (registry.url), or set schemasJob.enabled to false") -}}
{{- end -}}
{{- end -}}

{{/* isInEnv (list root NAME): whether a variable is given to containers. */}}
{{- define "lazaret.isInEnv" -}}
{{- $name := index . 1 -}}
{{- $values := (first .).Values -}}
{{- range $values.existingSecrets -}}{{- if hasKey (.env | default dict) $name -}}yes{{- end -}}{{- end -}}
{{- range $values.extraEnv -}}{{- if eq .name $name -}}yes{{- end -}}{{- end -}}
{{- end -}}

{{/* isMounted (list root PATH): whether there can be a file of this name. One that is relative lies on the volume of data. */}}
{{- define "lazaret.isMounted" -}}
{{- $path := index . 1 -}}
{{- $values := (first .).Values -}}
{{- range $secret := $values.existingSecrets -}}
{{- with $secret.mountPath -}}
{{- if hasPrefix (printf "%s/" (trimSuffix "/" .)) $path -}}
{{- $file := trimPrefix (printf "%s/" (trimSuffix "/" .)) $path -}}
{{- if or (not $secret.items) (has $file (values ($secret.items | default dict))) -}}yes{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- range $values.extraVolumeMounts -}}
{{- if or (eq .mountPath $path) (hasPrefix (printf "%s/" (trimSuffix "/" .mountPath)) $path) -}}yes{{- end -}}
{{- end -}}
{{- if and (eq (dir $path) "/etc/lazaret") (hasKey $values.files (base $path)) -}}yes{{- end -}}
{{- end -}}
