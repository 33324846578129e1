package observe_test

import (
	"errors"
	"testing"

	"github.com/shiplog/shiplog/deployer"
	"github.com/shiplog/shiplog/internal/observe"
)

func TestVerdict(t *testing.T) {
	t.Parallel()

	content := func(version, digest string, ready, desired int) deployer.Content {
		return deployer.Content{Version: version, Digest: digest, Ready: ready, Desired: desired}
	}
	done := &observe.Applied{Deployment: "d2", Version: "v2", Digest: "b", Final: true}
	undone := &observe.Applied{Deployment: "d2", Version: "v2", Digest: "b"}
	gone := &observe.Applied{Deployment: "d3", Undeploy: true, Final: true}

	tests := []struct {
		name    string
		applied *observe.Applied
		seen    []deployer.Content
		err     error
		want    string
	}{
		{"nothing applied, nothing there", nil, nil, nil, ""},
		{"nothing applied, something there", nil, []deployer.Content{content("v1", "a", 1, 1)}, nil, "UNKNOWN_VERSION"},
		{"the target does not answer", done, nil, errors.New("no"), "UNREACHABLE"},
		{"as applied", done, []deployer.Content{content("v2", "b", 2, 2)}, nil, "IN_SYNC"},
		{"one instance is being restarted", done, []deployer.Content{content("v2", "b", 1, 2)}, nil, "ROLLING"},
		{"all instances have crashed", done, []deployer.Content{content("v2", "b", 0, 2)}, nil, "MISSING"},
		{"nothing runs", done, nil, nil, "MISSING"},
		{"it is under way", undone, []deployer.Content{content("v1", "a", 2, 2)}, nil, "ROLLING"},
		{"it is under way and looks done", undone, []deployer.Content{content("v2", "b", 2, 2)}, nil, "ROLLING"},
		{"it is under way and nothing is there yet", undone, nil, nil, "ROLLING"},
		{"done, the old ones are going", done, []deployer.Content{content("v1", "a", 1, 0), content("v2", "b", 2, 2)}, nil, "ROLLING"},
		{"it failed and the old version runs", done, []deployer.Content{content("v1", "a", 2, 2)}, nil, "VERSION_DIFFERS"},
		{"the version with another configuration", done, []deployer.Content{content("v2", "c", 2, 2)}, nil, "CONFIG_DIFFERS"},
		{"somebody else's content", done, []deployer.Content{content("", "x", 1, 1)}, nil, "UNKNOWN_VERSION"},
		{"a version that the memory does not have", done, []deployer.Content{content("v9", "x", 1, 1)}, nil, "UNKNOWN_VERSION"},
		{"somebody else's beside ours", done, []deployer.Content{content("v2", "b", 1, 1), content("", "x", 1, 1)}, nil, "ROLLING"},
		{"undeployed", gone, nil, nil, "IN_SYNC"},
		{"undeployed and still there", gone, []deployer.Content{content("v2", "b", 1, 1)}, nil, "VERSION_DIFFERS"},
		{"scaled to nothing", done, []deployer.Content{content("v2", "b", 0, 0)}, nil, "IN_SYNC"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()

			known := func(v string) bool { return v == "v1" || v == "v2" }
			if got := observe.Verdict(test.applied, deployer.Observation{Contents: test.seen}, test.err, known); string(got) != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

// TestStrayed: what runs is as applied, and something beside it is not.
func TestStrayed(t *testing.T) {
	t.Parallel()

	applied := &observe.Applied{Deployment: "d", Version: "v", Digest: "a", Final: true}
	changed, missing := deployer.Stray{Object: "Service/web"}, deployer.Stray{Object: "ConfigMap/web", Missing: true}

	for want, c := range map[string]struct {
		ready   int
		strayed []deployer.Stray
	}{
		"IN_SYNC": {1, nil}, "CONFIG_DIFFERS": {1, []deployer.Stray{changed}}, "MISSING": {1, []deployer.Stray{changed, missing}},
		"ROLLING": {0, []deployer.Stray{missing}},
	} {
		seen := deployer.Observation{Strayed: c.strayed, Contents: []deployer.Content{{Version: "v", Digest: "a", Ready: 1 + c.ready, Desired: 2}}}
		if got := observe.Verdict(applied, seen, nil, func(string) bool { return true }); string(got) != want {
			t.Errorf("%+v: %s, want %s", c, got, want)
		}
	}
}

func TestWhatTheFirstReleaseWroteIsRead(t *testing.T) {
	t.Parallel()

	seen, err := observe.Read([]byte(`[{"versionId": "version_1", "ready": 1, "desired": 2}]`))
	if err != nil || len(seen.Versions) != 1 || seen.Versions[0].Desired != 2 || seen.Hands != nil {
		t.Errorf("got %+v, %v", seen, err)
	}
}
