{{- define "operator.name" -}}
{{- .Values.nameOverride | default .Chart.Name | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "operator.fullname" -}}
{{- $name := include "operator.name" . }}
{{- $made := contains $name .Release.Name | ternary .Release.Name (printf "%s-%s" .Release.Name $name) }}
{{- .Values.fullnameOverride | default $made | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "operator.serviceAccountName" -}}
{{- .Values.serviceAccount.name | default (.Values.serviceAccount.create | ternary (include "operator.fullname" .) "default") }}
{{- end }}

{{- define "operator.selectorLabels" -}}
app.kubernetes.io/name: {{ include "operator.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "operator.labels" -}}
{{ include "operator.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{- define "operator.image" -}}
{{ .Values.image.name }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end }}

{{- /* The namespaces that are served, in a list under `names`; an empty one for all. */ -}}
{{- define "operator.namespaces" -}}
{{- $home := .Values.rbac.cluster | ternary list (list .Release.Namespace) }}
{{- dict "names" (.Values.watchNamespaces | default $home | uniq) | toJson }}
{{- end }}

{{- /* Where a monitor looks for Dask's pods: as the values say, else in the namespaces that are served. */ -}}
{{- define "operator.monitored" -}}
{{- $names := (include "operator.namespaces" .root | fromJson).names }}
{{- $served := empty $names | ternary (dict "any" true) (dict "matchNames" $names) }}
{{- .selector | default $served | toYaml }}
{{- end }}
