//go:build unix

package process

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"time"
)

// ackWait is how long Rollout waits for the proxy to take new routes; it takes
// milliseconds, or the start of the proxy.
const (
	ackWait = 500 * time.Millisecond
	ackPoll = 2 * time.Millisecond
)

// routes is what a unit's proxy has to do, by the port that it listens on.
type routes struct {
	Revision int64           `json:"revision"`
	Closed   bool            `json:"closed,omitempty"`
	Ports    map[int][]route `json:"ports"`
}

// route is one instance that connections may go to, while all its runs are
// ready.
type route struct {
	Address string   `json:"address"`
	Runs    []string `json:"runs"`
}

// proxyState is what the proxy has made of its routes.
type proxyState struct {
	Process  int   `json:"process"`
	Revision int64 `json:"revision"`
	// Errors by port that it cannot listen on.
	Errors map[int]string `json:"errors,omitempty"`
}

func routesFile(proxy string) string     { return filepath.Join(proxy, "routes.json") }
func proxyStateFile(proxy string) string { return filepath.Join(proxy, "state.json") }

// route tells the proxy where connections go, starts it where it is needed and
// ends it where it is not. It gives the revision that the proxy has to reach,
// 0 when there is no proxy.
func (d *Deployer) route(dir unitDir, a *anchor) (int64, error) {
	want := wantedRoutes(dir, a)
	if len(want) == 0 {
		_, err := stopProxy(dir)

		return 0, err
	}

	var now routes
	if _, err := readJSON(routesFile(dir.proxy()), &now); err != nil {
		now = routes{Closed: true, Revision: now.Revision}
	}

	if err := os.MkdirAll(dir.proxy(), dirMode); err != nil {
		return 0, fmt.Errorf("make the proxy's directory: %w", err)
	}

	control := filepath.Join(dir.proxy(), "control")
	if err := makeFIFO(control); err != nil {
		return 0, err
	}

	if now.Closed || !reflect.DeepEqual(now.Ports, want) {
		// Time goes on even where the file was lost.
		now = routes{Revision: max(now.Revision+1, time.Now().UnixNano()), Ports: want}

		if err := writeJSON(routesFile(dir.proxy()), now, false); err != nil {
			return 0, err
		}

		if err := poke(control); err != nil {
			return 0, err
		}
	}

	alive, err := held(filepath.Join(dir.proxy(), "lock"))
	if err != nil || alive {
		return now.Revision, err
	}

	// What a dead proxy had taken is not what the new one has.
	if err := os.Remove(proxyStateFile(dir.proxy())); err != nil && !os.IsNotExist(err) {
		return 0, fmt.Errorf("forget the dead proxy: %w", err)
	}

	return now.Revision, d.spawn("process-proxy", dir.proxy(), "proxy.log")
}

// wantedRoutes leads to the serving generation; the ports of one that is on
// its way are open already, but lead nowhere.
func wantedRoutes(dir unitDir, a *anchor) map[int][]route {
	want := map[int][]route{}

	if g := a.target(); g != nil && !g.Leaving {
		for _, p := range g.Ports {
			want[p.Listen] = nil
		}
	}

	g := a.serving()
	if g == nil {
		return want
	}

	for name, p := range g.Ports {
		var all []route
		for _, i := range g.Instances {
			r := route{Address: address(i.Ports[name])}
			for _, c := range slices.Sorted(maps.Keys(g.Process.Containers)) {
				r.Runs = append(r.Runs, string(dir.run(i.Name, c)))
			}

			all = append(all, r)
		}

		want[p.Listen] = all
	}

	return want
}

// stopProxy tells the proxy to end, and reports whether there still is one.
func stopProxy(dir unitDir) (bool, error) {
	if _, err := os.Stat(dir.proxy()); os.IsNotExist(err) {
		return false, nil
	}

	alive, err := held(filepath.Join(dir.proxy(), "lock"))
	if err != nil {
		return false, err
	}

	var now routes
	if _, err := readJSON(routesFile(dir.proxy()), &now); err != nil || !now.Closed {
		now = routes{Revision: max(now.Revision+1, time.Now().UnixNano()), Closed: true}
		if err := writeJSON(routesFile(dir.proxy()), now, false); err != nil {
			return alive, err
		}
	}

	if !alive {
		return false, nil
	}

	return true, poke(filepath.Join(dir.proxy(), "control"))
}

// acknowledged waits a little for the proxy to have taken the revision.
func acknowledged(dir unitDir, revision int64) (proxyState, bool) {
	poll := time.NewTicker(ackPoll)
	defer poll.Stop()

	for end := time.Now().Add(ackWait); ; <-poll.C {
		var s proxyState
		if _, err := readJSON(proxyStateFile(dir.proxy()), &s); err == nil && s.Revision >= revision {
			return s, true
		}

		if time.Now().After(end) {
			return proxyState{}, false
		}
	}
}
