// A program that knows of a cluster what the agent knows, by client-go's informers and nothing else: pods, namespaces, nodes and
// NetworkPolicies in protobuf, ClusterNetworkPolicies and HostPolicies in JSON. It writes when it heard of each version of an
// object, and keeps the objects in its stores, with -strip only what a verdict needs of them.
//
//	informer -kubeconfig FILE -heard FILE [-strip]
//
// Prints "synced SECONDS" when all is there; at SIGTERM it writes out and ends.
package main

import (
	"bufio"
	"flag"
	"fmt"
	"log"
	"os"
	"os/signal"
	"strconv"
	"sync"
	"syscall"
	"time"

	core "k8s.io/api/core/v1"
	networking "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/dynamic/dynamicinformer"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/clientcmd"
)

// What of a pod, a namespace, a node or a policy decides a verdict; the name and the version it is known by stay in any case.
func strip(object any) (any, error) {
	if about, err := meta.Accessor(object); err == nil {
		about.SetManagedFields(nil)
		about.SetAnnotations(nil)
		about.SetOwnerReferences(nil)
	}
	switch known := object.(type) {
	case *core.Pod:
		containers := make([]core.Container, 0, len(known.Spec.Containers))
		for _, each := range known.Spec.Containers {
			containers = append(containers, core.Container{Name: each.Name, Ports: each.Ports})
		}
		known.Spec = core.PodSpec{NodeName: known.Spec.NodeName, HostNetwork: known.Spec.HostNetwork, Containers: containers}
		known.Status = core.PodStatus{Phase: known.Status.Phase, PodIPs: known.Status.PodIPs}
	case *core.Namespace:
		known.Spec, known.Status = core.NamespaceSpec{}, core.NamespaceStatus{}
	case *core.Node:
		known.Spec, known.Status = core.NodeSpec{}, core.NodeStatus{Addresses: known.Status.Addresses}
	case *networking.NetworkPolicy: // all of it decides
	}
	return object, nil
}

// Lines "VERSION NANOSECONDS".
type heard struct {
	mutex sync.Mutex
	out   *bufio.Writer
}

func (h *heard) note(object any) {
	now := time.Now().UnixNano()
	about, err := meta.Accessor(object)
	if err != nil {
		return
	}
	h.mutex.Lock()
	defer h.mutex.Unlock()
	line := append(h.out.AvailableBuffer(), about.GetResourceVersion()...)
	line = append(line, ' ')
	line = strconv.AppendInt(line, now, 10)
	_, _ = h.out.Write(append(line, '\n'))
}

func (h *heard) handler() cache.ResourceEventHandler {
	return cache.ResourceEventHandlerFuncs{
		AddFunc:    func(object any) { h.note(object) },
		UpdateFunc: func(_, object any) { h.note(object) },
	}
}

func config(file, contentType string) *rest.Config {
	out, err := clientcmd.BuildConfigFromFlags("", file)
	if err != nil {
		log.Fatal(err)
	}
	out.ContentType, out.AcceptContentTypes = contentType, contentType
	out.UserAgent = "omnitide-bench-informer"
	return out
}

func main() {
	kubeconfig := flag.String("kubeconfig", "", "how to reach the API server")
	to := flag.String("heard", "", "the file that gets a line for each event")
	stripping := flag.Bool("strip", false, "keep only what a verdict needs")
	flag.Parse()
	begin := time.Now()
	file, err := os.Create(*to)
	if err != nil {
		log.Fatal(err)
	}
	events := &heard{out: bufio.NewWriterSize(file, 1<<16)}
	stop := make(chan struct{})

	var options []informers.SharedInformerOption
	if *stripping {
		options = append(options, informers.WithTransform(strip))
	}
	clients, err := kubernetes.NewForConfig(config(*kubeconfig, "application/vnd.kubernetes.protobuf"))
	if err != nil {
		log.Fatal(err)
	}
	typed := informers.NewSharedInformerFactoryWithOptions(clients, 0, options...)
	custom, err := dynamic.NewForConfig(config(*kubeconfig, "application/json"))
	if err != nil {
		log.Fatal(err)
	}
	untyped := dynamicinformer.NewDynamicSharedInformerFactory(custom, 0)
	all := []cache.SharedIndexInformer{
		typed.Core().V1().Pods().Informer(),
		typed.Core().V1().Namespaces().Informer(),
		typed.Core().V1().Nodes().Informer(),
		typed.Networking().V1().NetworkPolicies().Informer(),
		untyped.ForResource(schema.GroupVersionResource{Group: "policy.networking.k8s.io", Version: "v1alpha2", Resource: "clusternetworkpolicies"}).Informer(),
		untyped.ForResource(schema.GroupVersionResource{Group: "omnitide.io", Version: "v1alpha1", Resource: "hostpolicies"}).Informer(),
	}
	var synced []cache.InformerSynced
	for _, each := range all {
		handler, err := each.AddEventHandler(events.handler())
		if err != nil {
			log.Fatal(err)
		}
		synced = append(synced, handler.HasSynced)
	}
	typed.Start(stop)
	untyped.Start(stop)
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, syscall.SIGTERM, syscall.SIGINT)
	go func() {
		if cache.WaitForCacheSync(stop, synced...) {
			fmt.Printf("synced %.3f\n", time.Since(begin).Seconds())
		}
	}()
	<-ended
	close(stop)
	events.mutex.Lock()
	if err := events.out.Flush(); err != nil {
		log.Fatal(err)
	}
}
