package main

import (
	"bufio"
	"cmp"
	"context"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"

	core "k8s.io/api/core/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
)

// One write to the API server and when it was seen. Nanoseconds since 1970.
type change struct {
	kind, version     string
	sent, returned    int64
	arrived, enforced int64 // first bytes of an event to the agent after it was sent; the kernel's maps have it. 0: not looked for
}

// Asks the program that looks into the kernel's maps (kubernetes_lag): a line "NUMBER ADDRESS SENT" to it, "NUMBER ENFORCED ARRIVED"
// from it.
type kernel struct {
	process *exec.Cmd
	in      io.WriteCloser
	mutex   sync.Mutex
	waiting map[int]*change
	ended   chan struct{}
	next    int
}

func startKernel(command string) *kernel {
	out := &kernel{waiting: map[int]*change{}, ended: make(chan struct{})}
	words := strings.Fields(command)
	out.process = exec.Command(words[0], words[1:]...)
	out.process.Stderr = os.Stderr
	var err error
	out.in, err = out.process.StdinPipe()
	must(err)
	answers, err := out.process.StdoutPipe()
	must(err)
	must(out.process.Start())
	go func() {
		defer close(out.ended)
		lines := bufio.NewScanner(answers)
		for lines.Scan() {
			var number int
			var enforced, arrived int64
			if _, err := fmt.Sscan(lines.Text(), &number, &enforced, &arrived); err != nil {
				log.Printf("not understood: %s", lines.Text())
				continue
			}
			out.mutex.Lock()
			if found := out.waiting[number]; found != nil {
				found.enforced, found.arrived = enforced, arrived
				delete(out.waiting, number)
			}
			out.mutex.Unlock()
		}
	}()
	return out
}

// What the address is now, is what it was before.
func (k *kernel) know(address string) {
	k.mutex.Lock()
	defer k.mutex.Unlock()
	fmt.Fprintf(k.in, "0 %s 0\n", address)
}

func (k *kernel) expect(about *change, address string) {
	k.mutex.Lock()
	defer k.mutex.Unlock()
	k.next++
	k.waiting[k.next] = about
	fmt.Fprintf(k.in, "%d %s %d\n", k.next, address, about.sent)
}

// What has not been seen some seconds after the last change.
func (k *kernel) rest() int {
	left := func() int {
		k.mutex.Lock()
		defer k.mutex.Unlock()
		return len(k.waiting)
	}
	for end := time.Now().Add(10 * time.Second); left() > 0 && time.Now().Before(end); {
		time.Sleep(20 * time.Millisecond)
	}
	out := left()
	k.mutex.Lock()
	clear(k.waiting)
	k.mutex.Unlock()
	return out
}

func (k *kernel) end() {
	_ = k.in.Close()
	<-k.ended
	must(k.process.Wait())
}

type changer struct {
	size
	api     *kubernetes.Clientset
	ctx     context.Context
	kernel  *kernel
	mutex   sync.Mutex
	all     []*change
	shut    map[int]bool // pods whose gate is not open
	numbers map[string]int
	failed  int
}

// Numbers that count up, for each use.
func (c *changer) take(what string) int {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	c.numbers[what]++
	return c.numbers[what] - 1
}

// timed makes a write and notes it. `address` (or none) is whose identity in the kernel changes by it.
func timed[T meta.Object](c *changer, kind, address string, write func() (T, error)) (T, error) {
	made := &change{kind: kind, sent: time.Now().UnixNano()}
	if address != "" && c.kernel != nil {
		c.kernel.expect(made, address)
	}
	out, err := write()
	made.returned = time.Now().UnixNano()
	c.mutex.Lock()
	defer c.mutex.Unlock()
	if err != nil {
		c.failed++
		log.Printf("%s: %v", kind, err)
		return out, err
	}
	made.version = out.GetResourceVersion()
	c.all = append(c.all, made)
	return out, nil
}

// Four fifths of the pods stay, and change; the last fifth goes and comes.
func (c *changer) staying() int { return c.pods * 4 / 5 }

func (c *changer) nextStaying() int {
	for {
		// A stride that meets every pod before it meets one again.
		if i := c.take("pod") * 7919 % c.staying(); !c.isLocal(i) {
			return i
		}
	}
}

func (c *changer) label() {
	i := c.nextStaying()
	c.mutex.Lock()
	c.shut[i] = !c.shut[i]
	value := "open"
	if c.shut[i] {
		value = "shut"
	}
	c.mutex.Unlock()
	patch := fmt.Sprintf(`{"metadata":{"labels":{%q:%q}}}`, gate, value)
	_, _ = timed(c, "label", addressesOf(i)[0].IP, func() (*core.Pod, error) {
		return c.api.CoreV1().Pods(namespaceName(i/podsOfNamespace)).Patch(c.ctx, podName(i, 0), types.MergePatchType, []byte(patch), meta.PatchOptions{FieldManager: "kubectl-label"})
	})
}

// Nothing that a verdict depends on.
func (c *changer) readiness() {
	i := c.nextStaying()
	status := core.ConditionTrue
	if c.take("readiness")%2 == 0 {
		status = core.ConditionFalse
	}
	patch := fmt.Sprintf(`{"status":{"conditions":[{"type":"Ready","status":%q}]}}`, status)
	_, _ = timed(c, "readiness", "", func() (*core.Pod, error) {
		return c.api.CoreV1().Pods(namespaceName(i/podsOfNamespace)).Patch(c.ctx, podName(i, 0), types.StrategicMergePatchType, []byte(patch), meta.PatchOptions{FieldManager: "kubelet"}, "status")
	})
}

func (c *changer) policy() {
	turn := c.take("policy")
	i := turn * 7919 % c.policies
	made := policy(i, c.namespaces, 9001+turn%1000)
	_, _ = timed(c, "policy", "", func() (meta.Object, error) {
		return c.api.NetworkingV1().NetworkPolicies(made.Namespace).Update(c.ctx, made, meta.UpdateOptions{FieldManager: "kube-controller-manager"})
	})
}

func (c *changer) namespace() {
	turn := c.take("namespace")
	patch := fmt.Sprintf(`{"metadata":{"labels":{"wave":"%d"}}}`, turn)
	_, _ = timed(c, "namespace", "", func() (*core.Namespace, error) {
		return c.api.CoreV1().Namespaces().Patch(c.ctx, namespaceName(turn*7919%c.namespaces), types.MergePatchType, []byte(patch), meta.PatchOptions{})
	})
}

// A pod goes, and one with another name and address comes: three writes, spread over the time of three.
func (c *changer) replace(pause time.Duration) {
	turn := c.take("replace")
	places := c.pods - c.staying()
	i, generation := c.staying()+turn%places, turn/places
	if c.isLocal(i) {
		return
	}
	// A deletion's answer has no version of its own.
	begin := time.Now()
	none := int64(0)
	if err := c.api.CoreV1().Pods(namespaceName(i/podsOfNamespace)).Delete(c.ctx, podName(i, generation), meta.DeleteOptions{GracePeriodSeconds: &none}); err != nil {
		log.Printf("deletion: %v", err)
	}
	c.mutex.Lock()
	c.all = append(c.all, &change{kind: "deletion", sent: begin.UnixNano(), returned: time.Now().UnixNano()})
	c.mutex.Unlock()
	number := c.pods + turn
	made := pod(i, podName(i, generation+1), nodeName(i%c.nodes))
	kinds, addresses := []string{"creation", "address"}, []string{"", addressesOf(number)[0].IP}
	step := 0
	_ = makePod(c.ctx, c.api, made, number, func(write func() (*core.Pod, error)) (*core.Pod, error) {
		time.Sleep(pause)
		out, err := timed(c, kinds[step], addresses[step], write)
		step++
		return out, err
	})
}

// A hundred changes: 60 labels, 8 pods that are replaced (24), 10 policies, 5 of readiness, 1 namespace. What each place does; nothing:
// a write of a pod that is being replaced.
func schedule(c *changer, pause time.Duration) []func() {
	out := make([]func(), 100)
	spread := func(first, count int, work func()) {
		for n := range count {
			at := first + n*(100/count)
			for out[at%100] != nil {
				at++
			}
			out[at%100] = work
		}
	}
	for i := range 8 {
		at := 2 + i*12
		out[at], out[at+1], out[at+2] = func() { c.replace(pause) }, func() {}, func() {}
	}
	spread(5, 10, c.policy)
	spread(7, 5, c.readiness)
	spread(50, 1, c.namespace)
	for at := range out {
		if out[at] == nil {
			out[at] = c.label
		}
	}
	return out
}

// A phase: `rate` changes a second, all sorts or labels alone; a line for each into the file.
func (c *changer) phase(to string, rate, seconds float64, only bool) {
	c.all, c.failed = nil, 0
	places := schedule(c, time.Duration(float64(time.Second)/rate))
	var group sync.WaitGroup
	begin := time.Now()
	for n := range int(rate * seconds) {
		time.Sleep(time.Until(begin.Add(time.Duration(float64(n) / rate * float64(time.Second)))))
		work := places[n%len(places)]
		if only {
			work = c.label
		}
		group.Go(work)
	}
	group.Wait()
	took := time.Since(begin).Seconds()
	unseen := 0
	if c.kernel != nil {
		unseen = c.kernel.rest()
	}
	file, err := os.Create(to)
	must(err)
	out := bufio.NewWriter(file)
	for _, each := range c.all {
		fmt.Fprintln(out, each.kind, cmp.Or(each.version, "-"), each.sent, each.returned, each.arrived, each.enforced)
	}
	must(out.Flush())
	must(file.Close())
	fmt.Printf("changes %d seconds %.2f failed %d unseen %d\n", len(c.all), took, c.failed, unseen)
}

// Phases by lines of the standard input: FILE RATE SECONDS all|labels. One line of answer for each.
func changeCommand(arguments []string) {
	flags := flag.NewFlagSet("change", flag.ExitOnError)
	kubeconfig := flags.String("kubeconfig", "", "how to reach the API server")
	looker := flags.String("kernel", "", "command that looks into the kernel's maps")
	var size size
	size.flags(flags)
	_ = flags.Parse(arguments)
	c := &changer{size: size, api: clients(*kubeconfig), ctx: context.Background(), shut: map[int]bool{}, numbers: map[string]int{}}
	if *looker != "" {
		c.kernel = startKernel(*looker)
		for i := range c.staying() {
			if !c.isLocal(i) {
				c.kernel.know(addressesOf(i)[0].IP)
			}
		}
	}
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		var file, sort string
		var rate, seconds float64
		if _, err := fmt.Sscan(lines.Text(), &file, &rate, &seconds, &sort); err != nil {
			log.Fatalf("not understood: %s", lines.Text())
		}
		c.phase(file, rate, seconds, sort == "labels")
	}
	if c.kernel != nil {
		c.kernel.end()
	}
}
