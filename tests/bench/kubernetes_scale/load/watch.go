package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"

	"k8s.io/client-go/rest"
)

// What an agent watches, and in which form.
var followed = []struct{ path, accept string }{
	{"/api/v1/pods", "application/vnd.kubernetes.protobuf"},
	{"/api/v1/namespaces", "application/vnd.kubernetes.protobuf"},
	{"/api/v1/nodes", "application/vnd.kubernetes.protobuf"},
	{"/apis/networking.k8s.io/v1/networkpolicies", "application/vnd.kubernetes.protobuf"},
	{"/apis/policy.networking.k8s.io/v1alpha2/clusternetworkpolicies", "application/json"},
	{"/apis/omnitide.io/v1alpha1/hostpolicies", "application/json"},
}

func get(ctx context.Context, client *http.Client, url, accept string) *http.Response {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	must(err)
	request.Header.Set("Accept", accept)
	answer, err := client.Do(request)
	must(err)
	if answer.StatusCode != http.StatusOK {
		must(fmt.Errorf("%s: %s", url, answer.Status))
	}
	return answer
}

// From now on, without what is there already.
func watch(ctx context.Context, client *http.Client, host, path, accept string, received *atomic.Int64) {
	var list struct {
		Metadata struct{ ResourceVersion string }
	}
	answer := get(ctx, client, host+path+"?limit=1", "application/json")
	must(json.NewDecoder(answer.Body).Decode(&list))
	_ = answer.Body.Close()
	stream := get(ctx, client, host+path+"?watch=1&allowWatchBookmarks=true&resourceVersion="+list.Metadata.ResourceVersion, accept)
	buffer := make([]byte, 1<<15)
	for {
		size, err := stream.Body.Read(buffer)
		received.Add(int64(size))
		if err == io.EOF && ctx.Err() == nil {
			must(fmt.Errorf("a watch ended"))
		}
		if err != nil {
			return
		}
	}
}

func watchCommand(arguments []string) {
	flags := flag.NewFlagSet("watch", flag.ExitOnError)
	kubeconfig := flags.String("kubeconfig", "", "how to reach the API server")
	count := flags.Int("count", 10, "how many agents")
	_ = flags.Parse(arguments)
	ctx := untilTerminated()
	var received atomic.Int64
	var group sync.WaitGroup
	for range *count {
		// A dialer of its own: client-go shares connections of equal configurations.
		own := config(*kubeconfig)
		own.Dial = (&net.Dialer{}).DialContext
		client, err := rest.HTTPClientFor(own)
		must(err)
		for _, each := range followed {
			group.Go(func() { watch(ctx, client, own.Host, each.path, each.accept, &received) })
		}
	}
	fmt.Printf("watching %d\n", *count)
	group.Wait()
	fmt.Printf("received %d\n", received.Load())
}
