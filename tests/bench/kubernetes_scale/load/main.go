// The cluster of kubernetes_scale.sh, by the API alone: nodes without a kubelet that look alive, pods bound to them, changes at a
// steady rate, and watches that stand for further nodes.
//
//	load nodes  -kubeconfig FILE -nodes N                 makes Nodes and keeps them alive until SIGTERM
//	load make   -kubeconfig FILE -node NAME ...           namespaces, policies, pods; a few pods for a real node
//	load change -kubeconfig FILE -rate N -seconds N ...   changes, each with its times, into a file
//	load watch  -kubeconfig FILE -count N                 N times what an agent watches, until SIGTERM; what comes is only counted
//	load report CHANGES HEARD...                          what the files say
//	load asked  AUDIT_LOG SINCE                           requests of each account
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"os"
	"os/signal"
	"sync"
	"syscall"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// How large a cluster is; the same for all commands of a run.
type size struct {
	pods, namespaces, policies, nodes, local int
}

func (s *size) flags(to *flag.FlagSet) {
	to.IntVar(&s.pods, "pods", 10000, "pods in all")
	to.IntVar(&s.namespaces, "namespaces", 1000, "namespaces")
	to.IntVar(&s.policies, "policies", 1000, "NetworkPolicies")
	to.IntVar(&s.nodes, "nodes", 100, "nodes that only the API server knows")
	to.IntVar(&s.local, "local", 20, "pods of the real node")
}

func config(file string) *rest.Config {
	out, err := clientcmd.BuildConfigFromFlags("", file)
	must(err)
	out.ContentType, out.AcceptContentTypes = "application/vnd.kubernetes.protobuf", "application/vnd.kubernetes.protobuf,application/json"
	out.QPS = -1
	return out
}

func clients(file string) *kubernetes.Clientset {
	out, err := kubernetes.NewForConfig(config(file))
	must(err)
	return out
}

func must(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

// parallel runs work(0) to work(count - 1), `workers` at a time.
func parallel(count, workers int, work func(i int) error) error {
	numbers := make(chan int)
	var group sync.WaitGroup
	var once sync.Once
	var first error
	for range workers {
		group.Go(func() {
			for i := range numbers {
				if err := work(i); err != nil {
					once.Do(func() { first = err })
				}
			}
		})
	}
	for i := range count {
		numbers <- i
	}
	close(numbers)
	group.Wait()
	return first
}

func untilTerminated() context.Context {
	out, _ := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	return out
}

func main() {
	log.SetFlags(0)
	log.SetPrefix("load: ")
	commands := map[string]func([]string){
		"nodes": nodesCommand, "make": makeCommand, "change": changeCommand, "watch": watchCommand, "report": reportCommand, "asked": askedCommand,
	}
	if len(os.Args) < 2 || commands[os.Args[1]] == nil {
		fmt.Fprintln(os.Stderr, "usage: load nodes|make|change|watch|report|asked ...")
		os.Exit(2)
	}
	commands[os.Args[1]](os.Args[2:])
}
