package main

import (
	"fmt"
	"time"

	core "k8s.io/api/core/v1"
	networking "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// Label whose value decides whether a pod may speak with the pods of the real node.
const gate = "bench.omnitide.io/gate"

const podsOfNamespace = 10

func namespaceName(i int) string { return fmt.Sprintf("team-%04d", i) }
func nodeName(i int) string      { return fmt.Sprintf("made-%03d", i) }

// Addresses of pods that no network has: 10.64.0.0/10 and a part of fd00::/8.
func addressesOf(number int) []core.PodIP {
	return []core.PodIP{
		{IP: fmt.Sprintf("10.%d.%d.%d", 64+number>>16, number>>8&0xff, number&0xff)},
		{IP: fmt.Sprintf("fd00:a::%x", number+1)},
	}
}

func namespace(i int) *core.Namespace {
	env := "staging"
	if i%2 == 0 {
		env = "production"
	}
	return &core.Namespace{ObjectMeta: meta.ObjectMeta{Name: namespaceName(i), Labels: map[string]string{"team": fmt.Sprint(i), "env": env}}}
}

func node(i int) *core.Node {
	now := meta.Now()
	quantity := core.ResourceList{"cpu": resource.MustParse("64"), "memory": resource.MustParse("256Gi"), "pods": resource.MustParse("250")}
	condition := func(kind core.NodeConditionType, status core.ConditionStatus, reason string) core.NodeCondition {
		return core.NodeCondition{Type: kind, Status: status, Reason: reason, Message: "kubelet has said so", LastHeartbeatTime: now, LastTransitionTime: now}
	}
	return &core.Node{
		ObjectMeta: meta.ObjectMeta{Name: nodeName(i), Labels: map[string]string{
			"kubernetes.io/hostname": nodeName(i), "kubernetes.io/arch": "amd64", "topology.kubernetes.io/zone": fmt.Sprintf("zone-%d", i%3),
		}},
		Status: core.NodeStatus{
			Capacity: quantity, Allocatable: quantity,
			Conditions: []core.NodeCondition{
				condition(core.NodeMemoryPressure, core.ConditionFalse, "KubeletHasSufficientMemory"),
				condition(core.NodeDiskPressure, core.ConditionFalse, "KubeletHasNoDiskPressure"),
				condition(core.NodePIDPressure, core.ConditionFalse, "KubeletHasSufficientPID"),
				condition(core.NodeReady, core.ConditionTrue, "KubeletReady"),
			},
			Addresses: []core.NodeAddress{
				{Type: core.NodeInternalIP, Address: fmt.Sprintf("172.31.%d.%d", i>>8, i&0xff)}, {Type: core.NodeHostName, Address: nodeName(i)},
			},
			NodeInfo: core.NodeSystemInfo{Architecture: "amd64", OperatingSystem: "linux", KubeletVersion: "v1.34.4", KernelVersion: "6.12.9"},
		},
	}
}

// Of ten pods of a namespace six are of one Deployment, three of another, one of a StatefulSet, with labels like theirs.
func podLabels(i int) map[string]string {
	out := map[string]string{"app.kubernetes.io/instance": fmt.Sprintf("shop-%d", i/podsOfNamespace), "app.kubernetes.io/part-of": "shop", gate: "open"}
	switch place := i % podsOfNamespace; {
	case place < 6:
		out["app.kubernetes.io/name"], out["pod-template-hash"] = "frontend", "7c9d8b6f5d"
	case place < 9:
		out["app.kubernetes.io/name"], out["pod-template-hash"] = "backend", "5b6f7c8d9e"
	default:
		out["app.kubernetes.io/name"], out["apps.kubernetes.io/pod-index"] = "store", "0"
		out["statefulset.kubernetes.io/pod-name"] = "store-0"
	}
	return out
}

// A pod as a Deployment's is, with a side-car, but for owners: what owns nothing is collected.
func pod(i int, name, on string) *core.Pod {
	container := func(name string, port int32, portName string) core.Container {
		probe := func(path string) *core.Probe {
			return &core.Probe{PeriodSeconds: 10, ProbeHandler: core.ProbeHandler{HTTPGet: &core.HTTPGetAction{Path: path, Port: intstr.FromString(portName)}}}
		}
		return core.Container{
			Name: name, Image: "registry.example/shop/" + name + ":1.27.3", ImagePullPolicy: core.PullIfNotPresent,
			Ports: []core.ContainerPort{{Name: portName, ContainerPort: port, Protocol: core.ProtocolTCP}},
			Env:   []core.EnvVar{{Name: "LOG_LEVEL", Value: "info"}, {Name: "DATABASE_URL", Value: "postgres://store-0.store:5432/shop"}, {Name: "POD_IP", ValueFrom: &core.EnvVarSource{FieldRef: &core.ObjectFieldSelector{FieldPath: "status.podIP"}}}},
			Resources: core.ResourceRequirements{
				Requests: core.ResourceList{"cpu": resource.MustParse("100m"), "memory": resource.MustParse("128Mi")},
				Limits:   core.ResourceList{"memory": resource.MustParse("256Mi")},
			},
			ReadinessProbe: probe("/readyz"), LivenessProbe: probe("/healthz"),
		}
	}
	return &core.Pod{
		ObjectMeta: meta.ObjectMeta{
			Name: name, Namespace: namespaceName(i / podsOfNamespace), Labels: podLabels(i),
			Annotations: map[string]string{"prometheus.io/scrape": "true", "prometheus.io/port": "9090", "kubectl.kubernetes.io/restartedAt": "2026-01-01T00:00:00Z"},
		},
		Spec: core.PodSpec{
			NodeName:   on,
			Containers: []core.Container{container("main", 8080, "http"), container("proxy", 9090, "metrics")},
		},
	}
}

// A pod that a real node runs, with little cost.
func localPod(i int, name, on string) *core.Pod {
	out := pod(i, name, on)
	no, grace := false, int64(0)
	out.Spec.AutomountServiceAccountToken, out.Spec.TerminationGracePeriodSeconds = &no, &grace
	out.Spec.Containers = []core.Container{{
		Name: "main", Image: "localhost/agnhost:1", ImagePullPolicy: core.PullNever, Args: []string{"pause"},
		Ports: []core.ContainerPort{{Name: "http", ContainerPort: 8080, Protocol: core.ProtocolTCP}},
	}}
	return out
}

// What a kubelet says of a pod that runs.
func running(made *core.Pod, number int) *core.Pod {
	out := made.DeepCopy()
	now := meta.NewTime(time.Now().Truncate(time.Second))
	yes := true
	out.Status = core.PodStatus{
		Phase: core.PodRunning, HostIP: "172.31.0.1", PodIPs: addressesOf(number), StartTime: &now, QOSClass: core.PodQOSBurstable,
	}
	out.Status.PodIP = out.Status.PodIPs[0].IP
	for _, kind := range []core.PodConditionType{core.PodReadyToStartContainers, core.PodInitialized, core.PodReady, core.ContainersReady, core.PodScheduled} {
		out.Status.Conditions = append(out.Status.Conditions, core.PodCondition{Type: kind, Status: core.ConditionTrue, LastTransitionTime: now})
	}
	for i, each := range made.Spec.Containers {
		out.Status.ContainerStatuses = append(out.Status.ContainerStatuses, core.ContainerStatus{
			Name: each.Name, Ready: true, Started: &yes, Image: each.Image, ImageID: fmt.Sprintf("%s@sha256:%064x", each.Name, number),
			ContainerID: fmt.Sprintf("containerd://%063x%d", number, i), State: core.ContainerState{Running: &core.ContainerStateRunning{StartedAt: now}},
		})
	}
	return out
}

// The back ends of a namespace take what its front ends ask, and all that pods with an open gate ask, of any namespace. The pods of the
// real node are back ends.
func policy(i, namespaces, port int) *networking.NetworkPolicy {
	selects := func(labels map[string]string) *meta.LabelSelector { return &meta.LabelSelector{MatchLabels: labels} }
	tcp, dns := core.ProtocolTCP, core.ProtocolUDP
	http, number, domain := intstr.FromString("http"), intstr.FromInt32(int32(port)), intstr.FromInt32(53)
	out := &networking.NetworkPolicy{
		ObjectMeta: meta.ObjectMeta{Name: fmt.Sprintf("allow-%d", i/namespaces), Namespace: namespaceName(i % namespaces)},
		Spec: networking.NetworkPolicySpec{
			PodSelector: *selects(map[string]string{"app.kubernetes.io/name": "backend"}),
			PolicyTypes: []networking.PolicyType{networking.PolicyTypeIngress, networking.PolicyTypeEgress},
			Ingress: []networking.NetworkPolicyIngressRule{
				{
					From:  []networking.NetworkPolicyPeer{{PodSelector: selects(map[string]string{"app.kubernetes.io/name": "frontend"})}},
					Ports: []networking.NetworkPolicyPort{{Protocol: &tcp, Port: &http}, {Protocol: &tcp, Port: &number}},
				},
				{From: []networking.NetworkPolicyPeer{{NamespaceSelector: &meta.LabelSelector{}, PodSelector: selects(map[string]string{gate: "open"})}}},
			},
			Egress: []networking.NetworkPolicyEgressRule{
				{To: []networking.NetworkPolicyPeer{{NamespaceSelector: selects(map[string]string{"kubernetes.io/metadata.name": "kube-system"})}}, Ports: []networking.NetworkPolicyPort{{Protocol: &dns, Port: &domain}}},
				{To: []networking.NetworkPolicyPeer{{IPBlock: &networking.IPBlock{CIDR: "10.0.0.0/8", Except: []string{"10.250.0.0/16"}}}}},
			},
		},
	}
	return out
}
