// Reads YAML documents from the files given and decodes each strictly into the Go type that its own project has for it: a field that
// the type does not know is an error. For objects whose CustomResourceDefinitions the test cluster has not: those of Prometheus
// Operator and Flux. (The types of Argo CD cannot be had without those of all of Kubernetes.)
package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"

	helm "github.com/fluxcd/helm-controller/api/v2"
	source "github.com/fluxcd/source-controller/api/v1"
	monitoring "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"k8s.io/apimachinery/pkg/util/yaml"
	strict "sigs.k8s.io/yaml"
)

var types = map[string]func() any{
	"monitoring.coreos.com/v1 PodMonitor":       func() any { return &monitoring.PodMonitor{} },
	"monitoring.coreos.com/v1 ServiceMonitor":   func() any { return &monitoring.ServiceMonitor{} },
	"monitoring.coreos.com/v1 PrometheusRule":   func() any { return &monitoring.PrometheusRule{} },
	"helm.toolkit.fluxcd.io/v2 HelmRelease":     func() any { return &helm.HelmRelease{} },
	"source.toolkit.fluxcd.io/v1 GitRepository": func() any { return &source.GitRepository{} },
}

type head struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Metadata   struct{ Name string }
}

func check(path string) (checked int, faults int) {
	text, err := os.ReadFile(path)
	if err != nil {
		fmt.Println(err)
		return 0, 1
	}
	documents := yaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(text)))
	for {
		document, err := documents.Read()
		if errors.Is(err, io.EOF) {
			return checked, faults
		}
		var which head
		if err != nil || strict.Unmarshal(document, &which) != nil {
			fmt.Printf("%s: no YAML: %v\n", path, err)
			return checked, faults + 1
		}
		make, known := types[which.APIVersion+" "+which.Kind]
		if !known {
			continue
		}
		checked++
		if err := strict.UnmarshalStrict(bytes.TrimSpace(document), make()); err != nil {
			fmt.Printf("%s: %s %s: %v\n", path, which.Kind, which.Metadata.Name, err)
			faults++
		}
	}
}

func main() {
	checked, faults := 0, 0
	for _, path := range os.Args[1:] {
		c, f := check(path)
		checked, faults = checked+c, faults+f
	}
	fmt.Printf("%d objects checked, %d faults\n", checked, faults)
	if faults > 0 || checked == 0 {
		os.Exit(1)
	}
}
