package cluster

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// settings writes the files that the components read.
func (c Config) settings(p ports) error {
	cni := filepath.Join(c.run(), "cni")

	for _, dir := range []string{cni, c.kubelet(), filepath.Join(c.state(), "podlogs"), filepath.Join(c.state(), "registry")} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}

	var errs []error
	for _, u := range users() {
		errs = append(errs, c.writeKubeconfig(c.inside(u.file), u.file, apiInside))
	}

	return errors.Join(append(errs,
		c.writeKubeconfig(c.kubeconfig(), "admin", p.API),
		os.WriteFile(filepath.Join(cni, "10-pods.conflist"), []byte(cniSettings()), 0o600),
		os.WriteFile(c.setting("containerd.toml"), []byte(c.containerdSettings()), 0o600),
		os.WriteFile(c.setting("kubelet.yaml"), []byte(c.kubeletSettings()), 0o600))...)
}

// containerdSettings: what a process may have been denied (CAP_SYS_RESOURCE,
// AppArmor) is not asked for; images come from files and the local registry.
func (c Config) containerdSettings() string {
	return fmt.Sprintf(`version = 2
root = %q
state = %q
oom_score = 0
[grpc]
  address = %q
[plugins."io.containerd.internal.v1.opt"]
  path = %q
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = %q
  stream_server_address = "127.0.0.1"
  disable_apparmor = true
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = %q
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
    default_runtime_name = "runc"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        BinaryName = "/usr/sbin/runc"
        SystemdCgroup = false
`, filepath.Join(c.state(), "containerd"), filepath.Join(c.run(), "containerd"), c.containerd(),
		filepath.Join(c.state(), "containerd", "opt"), pauseImage, filepath.Join(c.run(), "cni"))
}

func cniSettings() string {
	return fmt.Sprintf(`{"cniVersion": "0.4.0", "name": "pods", "plugins": [
  {"type": "bridge", "bridge": "cni0", "isGateway": true, "hairpinMode": true,
   "ipam": {"type": "host-local", "dataDir": "/run/cni-ipam", "ranges": [[{"subnet": %q}]], "routes": [{"dst": "0.0.0.0/0"}]}},
  {"type": "portmap", "capabilities": {"portMappings": true}}
]}
`, pods)
}

// kubeletSettings: cgroup v1 is accepted; a full disk of the machine evicts
// nobody. With its usual syncFrequency of a minute the kubelet reports Error
// through several restarts and CrashLoopBackOff hardly ever.
func (c Config) kubeletSettings() string {
	return fmt.Sprintf(`apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
failCgroupV1: false
cgroupDriver: cgroupfs
cgroupsPerQOS: true
enforceNodeAllocatable: [pods]
failSwapOn: false
containerRuntimeEndpoint: unix://%s
authentication: {anonymous: {enabled: true}, webhook: {enabled: false}}
authorization: {mode: AlwaysAllow}
address: %s
healthzBindAddress: 127.0.0.1
resolvConf: /run/resolv.conf
podLogsDir: %s
volumePluginDir: %s
evictionHard: {nodefs.available: "1%%", imagefs.available: "1%%", memory.available: 100Mi}
imageGCHighThresholdPercent: 99
imageGCLowThresholdPercent: 98
nodeStatusUpdateFrequency: 5s
syncFrequency: 3s
%s`, c.containerd(), nodeIP, filepath.Join(c.state(), "podlogs"), filepath.Join(c.kubelet(), "volumeplugins"), c.Kubelet)
}
