{{/* "true" on OpenShift, otherwise empty. */}}
{{- define "data-storage.openshift" -}}
{{- if eq .Values.openshift "Enabled" -}}true
{{- else if and (eq .Values.openshift "Auto") (.Capabilities.APIVersions.Has "security.openshift.io/v1") -}}true
{{- end -}}
{{- end -}}

{{/* The security context of a pod. OpenShift assigns the user and the groups. */}}
{{- define "data-storage.podSecurityContext" -}}
{{- if include "data-storage.openshift" . -}}
{{- toYaml (omit .Values.podSecurityContext "runAsUser" "runAsGroup" "fsGroup") -}}
{{- else -}}
{{- toYaml .Values.podSecurityContext -}}
{{- end -}}
{{- end -}}

{{/* The name of the Secret with the certificate of the API. */}}
{{- define "data-storage.tlsSecretName" -}}
{{- .Values.tls.secretName | default (printf "%s-tls" (include "data-storage.fullname" .)) -}}
{{- end -}}

{{/* What clients call. */}}
{{- define "data-storage.url" -}}
{{- printf "%s://%s.%s.svc:%v" (ternary "https" "http" .Values.tls.enabled) (include "data-storage.fullname" .) .Release.Namespace .Values.ports.api -}}
{{- end -}}

{{/* The user in a URL of the database, or nothing. */}}
{{- define "data-storage.userOf" -}}
{{- $user := regexFind "^postgres(ql)?://[^@/?]+@" . -}}
{{- regexReplaceAll "^postgres(ql)?://|(:[^@]*)?@$" $user "" -}}
{{- end -}}

{{/* The role of the service in PostgreSQL, or nothing. */}}
{{- define "data-storage.serviceRole" -}}
{{- .Values.migration.serviceRole | default (include "data-storage.userOf" .Values.database.url) -}}
{{- end -}}

{{/* The files with the keys of the chain, as the program expects them. The argument is the list of keys. */}}
{{- define "data-storage.chainKeys" -}}
{{- $files := list -}}
{{- range . }}{{ $files = append $files (printf "%v:/etc/datastorage/chain-keys/%v" .id .id) }}{{ end -}}
{{- join "," $files -}}
{{- end -}}

{{/* The sources of the files for the provider of embeddings, or nothing. */}}
{{- define "data-storage.embeddingFiles" -}}
{{- with .Values.embedding }}
{{- if and (eq .provider "http") .tokenSecret.name }}
- secret: {name: {{ .tokenSecret.name | quote }}, items: [{key: {{ .tokenSecret.key | quote }}, path: token}]}
{{- end }}
{{- if and (eq .provider "http") .caSecret.name }}
- secret: {name: {{ .caSecret.name | quote }}, items: [{key: {{ .caSecret.key | quote }}, path: ca.crt}]}
{{- end }}
{{- end }}
{{- end -}}

{{/* Rejects combinations of values that cannot work. */}}
{{- define "data-storage.validate" -}}
{{- with .Values.tls -}}
{{- if and .enabled (not .secretName) (not .certManager.enabled) -}}
{{- fail "tls.secretName is empty; set it to a Secret of type kubernetes.io/tls with the certificate of the API, or set tls.certManager.enabled, or, only in a test cluster, set tls.enabled to false. https://github.com/kubernaut/toolset-operator/blob/main/docs/data-storage/install.md shows how to create a certificate" -}}
{{- end -}}
{{- if and .enabled .certManager.enabled (not .certManager.issuerRef.name) -}}
{{- fail "tls.certManager.enabled is true, but tls.certManager.issuerRef has no name; set it to an Issuer or a ClusterIssuer" -}}
{{- end -}}
{{- end -}}
{{- with .Values.database -}}
{{- if and (not .url) (not .urlSecret.name) -}}
{{- fail "database.url and database.urlSecret are empty; set database.urlSecret to a Secret with the URL of the database, or set database.url and database.passwordSecret" -}}
{{- end -}}
{{- if and .url .urlSecret.name -}}
{{- fail "database.url and database.urlSecret are both set; remove one of them" -}}
{{- end -}}
{{- if and (eq .tls "verify-full") (not .caSecret.name) -}}
{{- fail "database.tls is verify-full, but database.caSecret is not set; set it to the Secret with the certificate of the CA" -}}
{{- end -}}
{{- end -}}
{{- range $name, $url := dict "database.url" .Values.database.url "migration.url" .Values.migration.url -}}
{{- if regexMatch "://[^@/?]*:[^@/?]*@" $url -}}
{{- fail (printf "%s contains a password, which everyone with access to Pods could read; put the password into a Secret and set %s" $name (replace ".url" ".passwordSecret" $name)) -}}
{{- end -}}
{{- end -}}
{{- with .Values.migration -}}
{{- if and .url .urlSecret.name -}}
{{- fail "migration.url and migration.urlSecret are both set; remove one of them" -}}
{{- end -}}
{{- if and (eq .by "Job") (not .urlSecret.name) (not (and .url .passwordSecret.name)) -}}
{{- fail "migration.by is Job, but the credential of the owner of the tables is missing; set migration.urlSecret, or migration.url and migration.passwordSecret. If the credential in database belongs to the owner, set migration.by to Service" -}}
{{- end -}}
{{- end -}}
{{- if and (eq .Values.migration.by "Job") (not (include "data-storage.serviceRole" .)) -}}
{{- fail "migration.serviceRole is empty, and the user is not in database.url; set migration.serviceRole to the role with which the service connects to PostgreSQL" -}}
{{- end -}}
{{- $seen := dict -}}
{{- range .Values.chain.keys -}}
{{- $id := toString .id -}}
{{- if hasKey $seen $id -}}
{{- fail (printf "chain.keys contains the id %s more than once; use a different id for each key" $id) -}}
{{- end -}}
{{- $_ := set $seen $id true -}}
{{- end -}}
{{- if eq .Values.embedding.provider "http" -}}
{{- if not .Values.embedding.url -}}
{{- fail "embedding.provider is http, but embedding.url is empty; set it to the URL of the provider" -}}
{{- end -}}
{{- if eq .Values.vector "off" -}}
{{- fail "embedding.provider is http, but vector is off, so there is no table for the vectors; set vector to preferred or required" -}}
{{- end -}}
{{- end -}}
{{- end -}}
