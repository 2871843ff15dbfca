{{/* The namespaces whose ToolsetConfigs are honoured, as a YAML map with one key. */}}
{{- define "toolset-operator.configNamespaces" -}}
namespaces:
{{- range (.Values.configNamespaces | default (list .Release.Namespace) | uniq | sortAlpha) }}
  - {{ . }}
{{- end }}
{{- end -}}

{{/* "true" on OpenShift, else empty. */}}
{{- define "toolset-operator.openshift" -}}
{{- if eq .Values.openshift "Enabled" -}}true
{{- else if and (eq .Values.openshift "Auto") (.Capabilities.APIVersions.Has "security.openshift.io/v1") -}}true
{{- end -}}
{{- end -}}

{{/* "true" where the API server knows ToolsetConfigs already, else empty. */}}
{{- define "toolset-operator.kindIsKnown" -}}
{{- if .Capabilities.APIVersions.Has "toolset.kubernaut.io/v1alpha1/ToolsetConfig" -}}true{{- end -}}
{{- end -}}

{{/* A ToolsetConfig of .Values.toolsetConfigs: (dict "root" $ "item" …). */}}
{{- define "toolset-operator.toolsetConfig" -}}
{{- $namespace := .item.namespace | default .root.Release.Namespace -}}
{{- $honoured := (include "toolset-operator.configNamespaces" .root | fromYaml).namespaces -}}
{{- if not (has $namespace $honoured) -}}
{{- fail (printf "toolsetConfigs: %s is in namespace %s, which is not one of configNamespaces (%s): nobody would honour it" .item.name $namespace (join ", " $honoured)) -}}
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

{{/* Combinations of values that cannot work. */}}
{{- define "toolset-operator.validate" -}}
{{- if and (gt (int .Values.replicaCount) 1) (not .Values.leaderElection.enabled) -}}
{{- fail "replicaCount is over 1, and leaderElection.enabled is false: the replicas would write against each other" -}}
{{- end -}}
{{- if and .Values.rbac.create (not .Values.rbac.clusterRoles) (not .Values.watchNamespaces) -}}
{{- fail "rbac.clusterRoles is false: name the namespaces to look at in watchNamespaces" -}}
{{- end -}}
{{- if and .Values.metrics.serviceMonitor.enabled .Values.metrics.podMonitor.enabled -}}
{{- fail "metrics.serviceMonitor and metrics.podMonitor are both enabled: every series would be scraped twice" -}}
{{- end -}}
{{- range .Values.rolloutRestart -}}
{{- $namespace := .namespace | default $.Release.Namespace -}}
{{- if not (has $namespace (include "toolset-operator.configNamespaces" $ | fromYaml).namespaces) -}}
{{- fail (printf "rolloutRestart: %s is in namespace %s, which is not one of configNamespaces: no ToolsetConfig can name it" .name $namespace) -}}
{{- end -}}
{{- end -}}
{{- end -}}
