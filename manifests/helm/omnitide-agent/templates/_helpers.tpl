{{- define "omnitide-agent.labels" -}}
app.kubernetes.io/name: omnitide-agent
app.kubernetes.io/part-of: omnitide
{{- end }}
{{- define "omnitide-agent.image" -}}
{{- $tag := .Values.image.tag | default .Chart.AppVersion -}}
{{ .Values.image.repository }}:{{ $tag }}{{ with .Values.image.digest }}@{{ . }}{{ end }}
{{- end }}
{{- /* What differs in a pod from the defaults, and over it the values. */ -}}
{{- define "omnitide-agent.config" -}}
{{- $own := dict
  "paths" (dict "host_root" "/host")
  "kubernetes" (dict "enabled" true)
  "policy" (dict "mode" .Values.policy "directory" "" "pin_dir" "/run/omnitide/bpf/omnitide" "cgroup_root" "/host/sys/fs/cgroup")
  "health" (dict "kernel_log" false) -}}
{{- toYaml (mergeOverwrite $own (deepCopy .Values.config)) -}}
{{- end }}
