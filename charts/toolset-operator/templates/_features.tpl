{{/* The namespaces in which the operator handles ToolsetConfigs, as a YAML map with one key. */}}
{{- define "toolset-operator.configNamespaces" -}}
namespaces:
{{- range (.Values.configNamespaces | default (list .Release.Namespace) | uniq | sortAlpha) }}
  - {{ . }}
{{- end }}
{{- end -}}

{{/* "true" on OpenShift, otherwise empty. */}}
{{- define "toolset-operator.openshift" -}}
{{- if eq .Values.openshift "Enabled" -}}true
{{- else if and (eq .Values.openshift "Auto") (.Capabilities.APIVersions.Has "security.openshift.io/v1") -}}true
{{- end -}}
{{- end -}}

{{/* The security context of a pod. OpenShift assigns the user and the groups. */}}
{{- define "toolset-operator.podSecurityContext" -}}
{{- if include "toolset-operator.openshift" . -}}
{{- toYaml (omit .Values.podSecurityContext "runAsUser" "runAsGroup" "fsGroup") -}}
{{- else -}}
{{- toYaml .Values.podSecurityContext -}}
{{- end -}}
{{- end -}}

{{/* "true" if the API server already knows ToolsetConfigs, otherwise empty. */}}
{{- define "toolset-operator.kindIsKnown" -}}
{{- if .Capabilities.APIVersions.Has "toolset.kubernaut.io/v1alpha1/ToolsetConfig" -}}true{{- end -}}
{{- end -}}

{{/* A ToolsetConfig of .Values.toolsetConfigs. Arguments: (dict "root" $ "item" …). */}}
{{- define "toolset-operator.toolsetConfig" -}}
{{- $namespace := .item.namespace | default .root.Release.Namespace -}}
{{- $honoured := (include "toolset-operator.configNamespaces" .root | fromYaml).namespaces -}}
{{- if not (has $namespace $honoured) -}}
{{- fail (printf "toolsetConfigs: the operator would ignore %s in namespace %s, which is not one of configNamespaces (%s); add the namespace to configNamespaces" .item.name $namespace (join ", " $honoured)) -}}
{{- end -}}
apiVersion: toolset.kubernaut.io/v1alpha1
kind: ToolsetConfig
metadata:
  name: {{ .item.name }}
  namespace: {{ $namespace }}
  {{- include "toolset-operator.metadata" (dict "root" .root "labels" .item.labels "annotations" .item.annotations) | nindent 2 }}
spec:
  {{- toYaml .item.spec | nindent 2 }}
{{- end -}}

{{/*
The name of the file with a key of a Secret. Arguments: (dict "prefix" … "secret" …). The name is made from the Secret, so it never
stands for another Secret, neither in the pod before an upgrade nor in the pod after it.
*/}}
{{- define "toolset-operator.agentFile" -}}
{{- printf "%s-%s" .prefix (printf "%s/%s" .secret.name .secret.key | sha256sum | trunc 16) -}}
{{- end -}}

{{/* The Secrets that the agents name, as a YAML map from the name of the file. */}}
{{- define "toolset-operator.agentFiles" -}}
{{- $files := dict -}}
{{- range .Values.agents -}}
{{- with .apiKeySecret }}{{ $_ := set $files (include "toolset-operator.agentFile" (dict "prefix" "key" "secret" .)) . }}{{ end -}}
{{- with .caSecret }}{{ $_ := set $files (include "toolset-operator.agentFile" (dict "prefix" "ca" "secret" .)) . }}{{ end -}}
{{- end -}}
{{- toYaml $files -}}
{{- end -}}

{{/* The file with the agents that the operator may ask. The keys and certificates are files beside it. */}}
{{- define "toolset-operator.agents" -}}
{{- $agents := list -}}
{{- range .Values.agents -}}
{{- $entry := dict "namespace" (.namespace | default $.Release.Namespace) "toolsetConfig" .toolsetConfig "service" .service "port" .port -}}
{{- if .caSecret }}{{ $_ := set $entry "scheme" "https" }}{{ end -}}
{{- with .allowPlaintext }}{{ $_ := set $entry "allowPlaintext" . }}{{ end -}}
{{- with .apiKeySecret }}{{ $_ := set $entry "apiKeyFile" (include "toolset-operator.agentFile" (dict "prefix" "key" "secret" .)) }}{{ end -}}
{{- with .caSecret }}{{ $_ := set $entry "caFile" (include "toolset-operator.agentFile" (dict "prefix" "ca" "secret" .)) }}{{ end -}}
{{- $agents = append $agents $entry -}}
{{- end -}}
{{- dict "agents" $agents | toJson -}}
{{- end -}}

{{/* The name of the ConfigMap with this file. It is immutable, so another list has another name. */}}
{{- define "toolset-operator.agentsName" -}}
{{- printf "%s-agents-%s" (include "toolset-operator.fullname" .) (include "toolset-operator.agents" . | sha256sum | trunc 16) -}}
{{- end -}}

{{/* The names of the ToolsetConfigs of .Values.toolsetConfigs that enable probes, as a YAML map with one key. */}}
{{- define "toolset-operator.probers" -}}
names:
{{- range .Values.toolsetConfigs }}
{{- if has "Probe" (list (toString (.spec.health).mode) (toString (.spec.evidence).identity)) }}
  - {{ .name }}
{{- end }}
{{- end }}
{{- end -}}

{{/* Rejects combinations of values that cannot work. */}}
{{- define "toolset-operator.validate" -}}
{{- if and (gt (int .Values.replicaCount) 1) (not .Values.leaderElection.enabled) -}}
{{- fail "replicaCount is greater than 1 and leaderElection.enabled is false, so several replicas would write at the same time; set leaderElection.enabled to true" -}}
{{- end -}}
{{- if and .Values.rbac.create (not .Values.rbac.clusterRoles) (not .Values.watchNamespaces) -}}
{{- fail "rbac.clusterRoles is false and watchNamespaces is empty; list the namespaces to watch in watchNamespaces" -}}
{{- end -}}
{{- if and .Values.metrics.serviceMonitor.enabled .Values.metrics.podMonitor.enabled -}}
{{- fail "metrics.serviceMonitor and metrics.podMonitor are both enabled, so Prometheus would scrape every series twice; disable one of them" -}}
{{- end -}}
{{- if .Values.audit.enabled -}}
{{- if not .Values.audit.url -}}
{{- fail "audit.enabled is true and audit.url is empty; set audit.url to the URL of Data Storage, or audit.enabled to false" -}}
{{- end -}}
{{- if and .Values.audit.caSecret .Values.audit.caConfigMap -}}
{{- fail "audit.caSecret and audit.caConfigMap are both set; remove one of them" -}}
{{- end -}}
{{- if and (hasPrefix "https:" .Values.audit.url) (not .Values.audit.caSecret) (not .Values.audit.caConfigMap) -}}
{{- fail "audit.url is an https URL, which requires audit.caSecret or audit.caConfigMap, with which the certificate of Data Storage is verified" -}}
{{- end -}}
{{- end -}}
{{- if .Values.watchNamespaces -}}
{{- range .Values.probing.namespaces -}}
{{- if not (has . $.Values.watchNamespaces) -}}
{{- fail (printf "probing.namespaces: the operator probes no Pods in namespace %s, which is not one of watchNamespaces; add the namespace to watchNamespaces or remove it" .) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- range .Values.rolloutRestart -}}
{{- $namespace := .namespace | default $.Release.Namespace -}}
{{- if not (has $namespace (include "toolset-operator.configNamespaces" $ | fromYaml).namespaces) -}}
{{- fail (printf "rolloutRestart: no ToolsetConfig can refer to Deployment %s in namespace %s, which is not one of configNamespaces; add the namespace to configNamespaces or remove the Deployment" .name $namespace) -}}
{{- end -}}
{{- end -}}
{{- $named := dict -}}
{{- range .Values.agents -}}
{{- $namespace := .namespace | default $.Release.Namespace -}}
{{- if not (has $namespace (include "toolset-operator.configNamespaces" $ | fromYaml).namespaces) -}}
{{- fail (printf "agents: the operator would ignore ToolsetConfig %s in namespace %s, which is not one of configNamespaces; add the namespace to configNamespaces or remove the agent" .toolsetConfig $namespace) -}}
{{- end -}}
{{- $name := printf "%s/%s" $namespace .toolsetConfig -}}
{{- if hasKey $named $name -}}
{{- fail (printf "agents: ToolsetConfig %s is named more than once; remove all but one" $name) -}}
{{- end -}}
{{- $_ := set $named $name true -}}
{{- if and .caSecret (eq (.scheme | default "https") "http") -}}
{{- fail (printf "agents: caSecret of ToolsetConfig %s is of no use with scheme http; remove one of them" $name) -}}
{{- end -}}
{{- if and (eq (.scheme | default "http") "https") (not .caSecret) -}}
{{- fail (printf "agents: scheme https of ToolsetConfig %s requires caSecret, with which the certificate of the agent is verified" $name) -}}
{{- end -}}
{{- if and (not .caSecret) .apiKeySecret (not .allowPlaintext) -}}
{{- fail (printf "agents: the API key of ToolsetConfig %s would be sent over plain HTTP, where everyone who can change that Service or create a matching Pod can obtain it; set caSecret, or allowPlaintext: true" $name) -}}
{{- end -}}
{{- end -}}
{{- end -}}
