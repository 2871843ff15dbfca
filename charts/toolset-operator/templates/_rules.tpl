{{/*
The permissions of the controller. A test compares them with the audit log of a real API server, so they contain only what the
controller uses.
*/}}

{{/* In every watched namespace. The controller writes an Event for a rejected Service, so that the owner of the Service sees it. */}}
{{- define "toolset-operator.rules.watched" -}}
- apiGroups: [""]
  resources: [services]
  verbs: [get, list, watch]
- apiGroups: [discovery.k8s.io]
  resources: [endpointslices]
  verbs: [list, watch]
{{- if .Values.rbac.pods }}
# Pods are read one by one, and never listed or watched.
- apiGroups: [""]
  resources: [pods]
  verbs: [get]
{{- end }}
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create, patch]
{{- end -}}

{{/* In every namespace in which the controller handles ToolsetConfigs. */}}
{{- define "toolset-operator.rules.honoured" -}}
- apiGroups: [toolset.kubernaut.io]
  resources: [toolsetconfigs]
  verbs: [get, list, watch]
- apiGroups: [toolset.kubernaut.io]
  resources: [toolsetconfigs/status]
  verbs: [patch]
{{- if include "toolset-operator.openshift" . }}
# On OpenShift, setting blockOwnerDeletion in an owner reference requires the permission to update the finalizers of the owner.
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

{{/* In the namespaces of the agents. The argument is the list of the Deployments that the controller may restart. */}}
{{- define "toolset-operator.rules.restart" -}}
- apiGroups: [apps]
  resources: [deployments]
  resourceNames: {{ . | toJson }}
  verbs: [get, patch]
{{- end -}}

{{/*
In the namespaces of the agents that the controller may ask. The argument is the list of their Services. The controller connects to
the addresses of the Pods, so it checks that they belong to Pods that the Service selects.
*/}}
{{- define "toolset-operator.rules.agents" -}}
- apiGroups: [""]
  resources: [services]
  resourceNames: {{ . | toJson }}
  verbs: [get]
- apiGroups: [discovery.k8s.io]
  resources: [endpointslices]
  verbs: [list, watch]
- apiGroups: [""]
  resources: [pods]
  verbs: [get]
{{- end -}}

{{/*
In the namespace default, if the controller connects to Pods and does not watch this namespace anyway. It never connects to the
addresses of the API server.
*/}}
{{- define "toolset-operator.rules.apiServer" -}}
- apiGroups: [discovery.k8s.io]
  resources: [endpointslices]
  resourceNames: [kubernetes]
  verbs: [get]
{{- end -}}

{{/*
In the namespaces of the ToolsetConfigs and in that of the release, if the operator sends audit records. The resource is virtual: Data
Storage asks the API server whether the operator may create records there.
*/}}
{{- define "toolset-operator.rules.audit" -}}
- apiGroups: [datastorage.kubernaut.io]
  resources: [auditrecords]
  verbs: [create]
{{- end -}}

{{/* In the namespace of the release. A rule for create cannot be limited to a resource name. */}}
{{- define "toolset-operator.rules.lease" -}}
- apiGroups: [coordination.k8s.io]
  resources: [leases]
  verbs: [create]
- apiGroups: [coordination.k8s.io]
  resources: [leases]
  resourceNames: [{{ include "toolset-operator.fullname" . }}]
  verbs: [get, list, watch, update]
{{- end -}}
