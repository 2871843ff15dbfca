{{/*
The files of a connection to PostgreSQL. Arguments: (dict "root" $ "connection" …), where the connection has url, urlSecret and
passwordSecret. A URL in the values has no password. It is an annotation of the pod, and the kubelet writes it into a file, so that
the program reads every URL in the same way.
*/}}
{{- define "data-storage.databaseVolume" -}}
{{- $ca := .root.Values.database.caSecret -}}
- name: database
  projected:
    defaultMode: 0440
    sources:
      {{- with .connection }}
      {{- if .urlSecret.name }}
      - secret: {name: {{ .urlSecret.name | quote }}, items: [{key: {{ .urlSecret.key | quote }}, path: url}]}
      {{- else }}
      - downwardAPI:
          items:
            - path: url
              fieldRef: {fieldPath: "metadata.annotations['{{ include "data-storage.urlAnnotation" . }}']"}
      {{- end }}
      {{- if .passwordSecret.name }}
      - secret: {name: {{ .passwordSecret.name | quote }}, items: [{key: {{ .passwordSecret.key | quote }}, path: password}]}
      {{- end }}
      {{- end }}
      {{- if $ca.name }}
      - secret: {name: {{ $ca.name | quote }}, items: [{key: {{ $ca.key | quote }}, path: ca.crt}]}
      {{- end }}
{{- end -}}

{{- define "data-storage.urlAnnotation" -}}
datastorage.kubernaut.io/database-url
{{- end -}}

{{/* The annotation with the URL, or nothing. The argument is the connection. */}}
{{- define "data-storage.urlAnnotationOf" -}}
{{- if not .urlSecret.name -}}
{{ include "data-storage.urlAnnotation" . }}: {{ .url | quote }}
{{- end -}}
{{- end -}}

{{/*
The environment variables of all pods, with those for a connection. Arguments: (dict "root" $ "connection" …). They contain no
secrets. Because they are not arguments, `kubectl exec … -- /datastorage verify` uses the same connection.
*/}}
{{- define "data-storage.env" -}}
- {name: DATASTORAGE_DATABASE_URL_FILE, value: /etc/datastorage/database/url}
{{- if .connection.passwordSecret.name }}
- {name: DATASTORAGE_DATABASE_PASSWORD_FILE, value: /etc/datastorage/database/password}
{{- end }}
{{- with .root.Values.database }}
{{- if .caSecret.name }}
- {name: DATASTORAGE_DATABASE_CA, value: /etc/datastorage/database/ca.crt}
{{- end }}
{{- if .tls }}
- {name: DATASTORAGE_DATABASE_TLS, value: {{ .tls }}}
{{- end }}
- {name: DATASTORAGE_SCHEMA, value: {{ .schema | quote }}}
{{- end }}
- {name: DATASTORAGE_VECTOR, value: {{ .root.Values.vector | quote }}}
{{- with .root.Values.retention }}
- {name: DATASTORAGE_RETENTION, value: {{ .keep | quote }}}
- {name: DATASTORAGE_RETENTION_FLOOR, value: {{ .floor | quote }}}
{{- end }}
{{- end -}}
