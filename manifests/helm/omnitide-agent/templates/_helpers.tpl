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
  "kubernetes" (dict "enabled" true "cni" (dict "enabled" .Values.cni.enabled "absent" .Values.cni.absent
    "node_state_dir" .Values.host.stateDir "node_pin_dir" (printf "%s/omnitide" .Values.host.bpffs)))
  "policy" (dict "mode" .Values.policy "directory" "" "pin_dir" "/run/omnitide/bpf/omnitide" "cgroup_root" "/host/sys/fs/cgroup")
  "health" (dict "kernel_log" false) -}}
{{- toYaml (mergeOverwrite $own (deepCopy .Values.config)) -}}
{{- end }}
{{- define "omnitide-agent.monitoring.labels" -}}
{{ include "omnitide-agent.labels" . }}
{{- with .Values.monitoring.labels }}
{{ toYaml . }}
{{- end }}
{{- end }}
{{- /* Of a PodMonitor or a ServiceMonitor; why each: manifests/kustomize/components/pod-monitor. */ -}}
{{- define "omnitide-agent.monitoring.endpoint" -}}
port: metrics
path: /metrics
scheme: http
interval: {{ .root.Values.monitoring.interval }}
authorization:
  type: Bearer
  credentials:
    name: {{ .root.Values.metrics.secret }}
    key: token
honorLabels: true
relabelings:
- sourceLabels: [__meta_kubernetes_pod_node_name]
  targetLabel: instance
- sourceLabels: [__meta_kubernetes_pod_node_name]
  targetLabel: node
- action: labeldrop
  regex: {{ .dropped }}
{{- end }}
