package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"log"
	"os"
	"slices"
	"strings"
	"time"
)

func readChanges(path string) []change {
	file, err := os.Open(path)
	must(err)
	defer file.Close()
	var out []change
	for lines := bufio.NewScanner(file); lines.Scan(); {
		var each change
		if _, err := fmt.Sscan(lines.Text(), &each.kind, &each.version, &each.sent, &each.returned, &each.arrived, &each.enforced); err != nil {
			log.Fatalf("%s: not understood: %s", path, lines.Text())
		}
		out = append(out, each)
	}
	return out
}

func readHeard(path string) map[string]int64 {
	file, err := os.Open(path)
	must(err)
	defer file.Close()
	out := map[string]int64{}
	for lines := bufio.NewScanner(file); lines.Scan(); {
		var version string
		var at int64
		if _, err := fmt.Sscan(lines.Text(), &version, &at); err != nil {
			log.Fatalf("%s: not understood: %s", path, lines.Text())
		}
		out[version] = at
	}
	return out
}

// A line "NAME p50 p99 most COUNT", milliseconds.
func tell(name string, lags []float64) {
	if len(lags) == 0 {
		fmt.Printf("%s - - - 0\n", name)
		return
	}
	slices.Sort(lags)
	at := func(part int) float64 { return lags[min(len(lags)-1, len(lags)*part/100)] }
	fmt.Printf("%s %.2f %.2f %.2f %d\n", name, at(50), at(99), lags[len(lags)-1], len(lags))
}

// All lags are of those changes that the kernel shows, so that all who are compared are asked of the same ones.
func reportCommand(arguments []string) {
	changes := readChanges(arguments[0])
	lags := func(name string, of func(change) (from, to int64)) {
		var out []float64
		for _, each := range changes {
			if from, to := of(each); each.enforced > 0 && from > 0 && to > 0 {
				out = append(out, float64(to-from)/1e6)
			}
		}
		tell(name, out)
	}
	lags("answered", func(c change) (int64, int64) { return c.sent, c.returned })
	lags("enforced", func(c change) (int64, int64) { return c.sent, c.enforced })
	lags("enforced_since_arrival", func(c change) (int64, int64) { return c.arrived, c.enforced })
	for i, path := range arguments[1:] {
		heard := readHeard(path)
		lags(fmt.Sprintf("handler_%d", i+1), func(c change) (int64, int64) { return c.sent, heard[c.version] })
		lags(fmt.Sprintf("enforced_since_handler_%d", i+1), func(c change) (int64, int64) { return heard[c.version], c.enforced })
	}
}

// askedCommand counts the requests in an audit log since a time (seconds since 1970), a watch once.
func askedCommand(arguments []string) {
	var since float64
	_, err := fmt.Sscan(arguments[1], &since)
	must(err)
	file, err := os.Open(arguments[0])
	must(err)
	defer file.Close()
	seen, counts := map[string]bool{}, map[string]int{}
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 1<<22)
	for lines.Scan() {
		var event struct {
			AuditID, Verb            string
			User                     struct{ Username string }
			ObjectRef                struct{ Resource, Subresource string }
			RequestReceivedTimestamp time.Time
		}
		if json.Unmarshal(lines.Bytes(), &event) != nil || seen[event.AuditID] || float64(event.RequestReceivedTimestamp.UnixMicro())/1e6 < since {
			continue
		}
		seen[event.AuditID] = true
		account := event.User.Username[strings.LastIndex(event.User.Username, ":")+1:]
		counts[account+" all"]++
		counts[strings.TrimSuffix(account+" "+event.Verb+" "+event.ObjectRef.Resource+"/"+event.ObjectRef.Subresource, "/")]++
	}
	var names []string
	for name := range counts {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		fmt.Println(name, counts[name])
	}
}
