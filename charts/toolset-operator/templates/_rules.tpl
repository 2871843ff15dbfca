{{/*
What the controller may do, and nothing beyond: each list below is what it is seen to use in a whole test run on a real API
server, whose audit log is compared with these rules.
*/}}

{{/* In every namespace that is looked at. A rejected Service gets its Event beside it: it is its owner's only channel. */}}
{{- define "toolset-operator.rules.watched" -}}
- apiGroups: [""]
  resources: [services]
  verbs: [get, list, watch]
- apiGroups: [discovery.k8s.io]
  resources: [endpointslices]
  verbs: [list, watch]
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create, patch]
{{- end -}}

{{/* In every namespace whose ToolsetConfigs are honoured. */}}
{{- define "toolset-operator.rules.honoured" -}}
- apiGroups: [toolset.kubernaut.io]
  resources: [toolsetconfigs]
  verbs: [get, list, watch]
- apiGroups: [toolset.kubernaut.io]
  resources: [toolsetconfigs/status]
  verbs: [patch]
{{- if include "toolset-operator.openshift" . }}
# OpenShift lets only those set blockOwnerDeletion in an owner reference who may change the owner's finalizers.
- apiGroups: [toolset.kubernaut.io]
  resources: [toolsetconfigs/finalizers]
  verbs: [update]
{{- end }}
- apiGroups: [""]
  resources: [configmaps]
  verbs: [get, list, watch, create, patch]
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create, patch]
{{- end -}}

{{/* In the namespaces of the agents: (list of the names of Deployments that may be restarted). */}}
{{- define "toolset-operator.rules.restart" -}}
- apiGroups: [apps]
  resources: [deployments]
  resourceNames: {{ . | toJson }}
  verbs: [get, patch]
{{- end -}}

{{/* In the release's namespace. A name cannot be required of what is only being created. */}}
{{- define "toolset-operator.rules.lease" -}}
- apiGroups: [coordination.k8s.io]
  resources: [leases]
  verbs: [create]
- apiGroups: [coordination.k8s.io]
  resources: [leases]
  resourceNames: [{{ include "toolset-operator.fullname" . }}]
  verbs: [get, list, watch, update]
{{- end -}}
