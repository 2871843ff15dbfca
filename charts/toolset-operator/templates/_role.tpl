{{/* A Role and its RoleBinding for the controller. Arguments: (dict "root" $ "name" … "namespace" … "rules" "…"). */}}
{{- define "toolset-operator.role" -}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata:
  name: {{ .name }}
  namespace: {{ .namespace }}
  {{- include "toolset-operator.metadata" (dict "root" .root) | nindent 2 }}
rules:
  {{- .rules | nindent 2 }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata:
  name: {{ .name }}
  namespace: {{ .namespace }}
  {{- include "toolset-operator.metadata" (dict "root" .root) | nindent 2 }}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: {{ .name }}}
subjects:
  - {kind: ServiceAccount, name: {{ include "toolset-operator.serviceAccountName" .root }}, namespace: {{ .root.Release.Namespace }}}
{{- end -}}
