package main

import (
	"context"
	"flag"
	"fmt"
	"time"

	coordination "k8s.io/api/coordination/v1"
	core "k8s.io/api/core/v1"
	failures "k8s.io/apimachinery/pkg/api/errors"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
)

const makers = 16

// Who makes objects in a cluster, and who tells of their state: each has its own managed fields.
var (
	asController = meta.CreateOptions{FieldManager: "kube-controller-manager"}
	asKubelet    = meta.UpdateOptions{FieldManager: "kubelet"}
)

// Nodes live by their Leases; each also says all of itself anew from time to time, as a kubelet does every five minutes.
func nodesCommand(arguments []string) {
	flags := flag.NewFlagSet("nodes", flag.ExitOnError)
	kubeconfig := flags.String("kubeconfig", "", "how to reach the API server")
	count := flags.Int("nodes", 100, "nodes")
	_ = flags.Parse(arguments)
	api := clients(*kubeconfig)
	ctx := untilTerminated()
	must(parallel(*count, makers, func(i int) error {
		made := node(i)
		_, err := api.CoreV1().Nodes().Create(ctx, made, meta.CreateOptions{FieldManager: "kubelet"})
		return err
	}))
	seconds := int32(40)
	must(parallel(*count, makers, func(i int) error {
		name, now := nodeName(i), meta.NowMicro()
		lease := &coordination.Lease{
			ObjectMeta: meta.ObjectMeta{Name: name, Namespace: core.NamespaceNodeLease},
			Spec:       coordination.LeaseSpec{HolderIdentity: &name, LeaseDurationSeconds: &seconds, RenewTime: &now},
		}
		_, err := api.CoordinationV1().Leases(core.NamespaceNodeLease).Create(ctx, lease, meta.CreateOptions{})
		return err
	}))
	fmt.Printf("nodes %d\n", *count)
	for round := 0; ctx.Err() == nil; round++ {
		begin := time.Now()
		err := parallel(*count, 4, func(i int) error {
			renewal := fmt.Sprintf(`{"spec":{"renewTime":%q}}`, time.Now().UTC().Format("2006-01-02T15:04:05.000000Z"))
			_, err := api.CoordinationV1().Leases(core.NamespaceNodeLease).Patch(ctx, nodeName(i), types.MergePatchType, []byte(renewal), meta.PatchOptions{})
			if err != nil || (i+round)%30 != 0 {
				return err
			}
			patch := fmt.Sprintf(`{"status":{"conditions":[{"type":"Ready","lastHeartbeatTime":%q}]}}`, time.Now().UTC().Format(time.RFC3339))
			_, err = api.CoreV1().Nodes().Patch(ctx, nodeName(i), types.StrategicMergePatchType, []byte(patch), meta.PatchOptions{FieldManager: "kubelet"}, "status")
			return err
		})
		if err != nil && ctx.Err() == nil {
			fmt.Println("a node is not kept alive:", err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(10*time.Second - time.Since(begin)):
		}
	}
}

// makePod makes a pod and says that it runs; `each` does the two writes.
func makePod(ctx context.Context, api *kubernetes.Clientset, made *core.Pod, number int, each func(write func() (*core.Pod, error)) (*core.Pod, error)) error {
	created, err := each(func() (*core.Pod, error) { return api.CoreV1().Pods(made.Namespace).Create(ctx, made, asController) })
	if err != nil {
		return err
	}
	_, err = each(func() (*core.Pod, error) {
		return api.CoreV1().Pods(made.Namespace).UpdateStatus(ctx, running(created, number), asKubelet)
	})
	return err
}

func podName(i, generation int) string {
	if i%podsOfNamespace == 9 {
		return fmt.Sprintf("store-%d", generation)
	}
	return fmt.Sprintf("%s-%s-%04d%d", podLabels(i)["app.kubernetes.io/name"], podLabels(i)["pod-template-hash"], i, generation)
}

// Which pods the real node has: one back end of each of the first namespaces.
func (s size) isLocal(i int) bool { return i/podsOfNamespace < s.local && i%podsOfNamespace == 6 }

func makeCommand(arguments []string) {
	flags := flag.NewFlagSet("make", flag.ExitOnError)
	kubeconfig := flags.String("kubeconfig", "", "how to reach the API server")
	on := flags.String("node", "node-1", "the real node")
	var size size
	size.flags(flags)
	_ = flags.Parse(arguments)
	api, ctx := clients(*kubeconfig), untilTerminated()
	begin := time.Now()
	told := func(what string, count int) {
		fmt.Printf("made %d %s in %.1f s\n", count, what, time.Since(begin).Seconds())
		begin = time.Now()
	}
	must(parallel(size.namespaces, makers, func(i int) error {
		if _, err := api.CoreV1().Namespaces().Create(ctx, namespace(i), asController); err != nil {
			return err
		}
		// The controller makes it too, but only twenty a second, and no pod is let in without one.
		account := &core.ServiceAccount{ObjectMeta: meta.ObjectMeta{Name: "default"}}
		_, err := api.CoreV1().ServiceAccounts(namespaceName(i)).Create(ctx, account, asController)
		if failures.IsAlreadyExists(err) {
			return nil
		}
		return err
	}))
	told("namespaces", size.namespaces)
	must(parallel(size.policies, makers, func(i int) error {
		made := policy(i, size.namespaces, 9000)
		_, err := api.NetworkingV1().NetworkPolicies(made.Namespace).Create(ctx, made, asController)
		return err
	}))
	told("NetworkPolicies", size.policies)
	direct := func(write func() (*core.Pod, error)) (*core.Pod, error) { return write() }
	must(parallel(size.pods, makers, func(i int) error {
		if size.isLocal(i) {
			made := localPod(i, podName(i, 0), *on)
			_, err := api.CoreV1().Pods(made.Namespace).Create(ctx, made, asController)
			return err
		}
		return makePod(ctx, api, pod(i, podName(i, 0), nodeName(i%size.nodes)), i, direct)
	}))
	told("pods", size.pods)
}
